package persistence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Ports are looked for below the range from which operating systems take ports for outgoing
// connections, so that ours is still free at the next start.
const lowestPort, highestPort = 15433, 29999

// embeddedSettings are given on the command line at every start, so that a new version of
// this program changes them without editing files. Durability stays at its defaults: on.
var embeddedSettings = map[string]string{
	"listen_addresses":         "127.0.0.1",
	"unix_socket_directories":  "",
	"max_connections":          "100",
	"shared_buffers":           "128MB",
	"wal_compression":          "on",
	"jit":                      "off",
	"timezone":                 "UTC",
	"log_timezone":             "UTC",
	"logging_collector":        "on",
	"log_directory":            "log",
	"log_filename":             "postgres-%a.log",
	"log_truncate_on_rotation": "on",
	"log_rotation_age":         "1d",
	"log_rotation_size":        "0",
	"log_line_prefix":          "%m [%p] %a ",
}

// hostAuthentication lets in the one role, over loopback, with its password. The superuser
// cannot log in over the network at all.
const hostAuthentication = "# Written by rookery at every start.\nhost all " + embeddedRole + " 127.0.0.1/32 scram-sha-256\n"

// cluster is the Postgres cluster of one directory.
type cluster struct {
	dir      string
	account  account
	binaries binaries
	settings map[string]string
	password string
	port     int
	log      *slog.Logger
}

// openCluster finds or makes the cluster of dir and leaves it ready to start.
func openCluster(ctx context.Context, dir string, settings map[string]string, log *slog.Logger) (*cluster, error) {
	c := &cluster{dir: dir, settings: maps.Clone(embeddedSettings), log: log}
	maps.Copy(c.settings, settings)
	var err error
	if c.account, err = serverAccount(); err != nil {
		return nil, err
	}
	version, err := dataVersion(c.data())
	if err != nil {
		return nil, err
	}
	if c.binaries, err = findBinaries(ctx, version); err != nil {
		return nil, err
	}
	if err := c.account.own(dir); err != nil {
		return nil, err
	}
	if err := c.account.checkAccess(ctx, c.binaries, dir); err != nil {
		return nil, err
	}
	if version == 0 {
		if err := c.create(ctx); err != nil {
			return nil, fmt.Errorf("create database cluster in %s: %w", dir, err)
		}
	} else if err := c.read(); err != nil {
		return nil, err
	}
	return c, c.account.own(dir)
}

func (c *cluster) data() string { return filepath.Join(c.dir, embeddedData) }
func (c *cluster) url() string  { return embeddedURL(c.password, c.port) }

// dataVersion is the major version that made the data directory; 0 when there is none.
func dataVersion(data string) (int, error) {
	b, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read version of database directory: %w", err)
	}
	v, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("read version of database directory: %w", err)
	}
	return v, nil
}

// create makes the cluster with its role and its database under another name and renames
// it when it is complete, so that a crash in between leaves nothing half done.
func (c *cluster) create(ctx context.Context) error {
	if entries, err := os.ReadDir(c.data()); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty and not a database cluster", c.data())
	}
	unfinished := c.data() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	c.log.Info("creating the embedded database", "dir", c.dir, "postgres", c.binaries.version)
	c.password = randomHex(24)
	if err := writeSecret(filepath.Join(c.dir, embeddedPassword), c.password); err != nil {
		return err
	}
	if err := c.initdb(ctx, unfinished); err != nil {
		return err
	}
	if err := c.createRole(ctx, unfinished); err != nil {
		return err
	}
	_ = os.Remove(c.data()) // an empty directory, or nothing
	if err := os.Rename(unfinished, c.data()); err != nil {
		return err
	}
	return syncDir(c.dir)
}

// initdb takes the first of a few locales that the machine has. Sorting is by code point in
// all of them: fast, and the same on every machine.
func (c *cluster) initdb(ctx context.Context, data string) error {
	err := os.Mkdir(data, 0o700) // by us: the account may not write into the directory above
	if err == nil {
		err = c.account.own(c.dir)
	}
	if err != nil {
		return err
	}
	for _, ctype := range []string{"C.UTF-8", "en_US.UTF-8", "C"} {
		args := []string{
			"-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C", "--lc-ctype=" + ctype,
			"--auth=reject", "--no-instructions",
		}
		if c.settings["fsync"] == "off" {
			args = append(args, "--no-sync")
		}
		cmd := c.account.command(ctx, c.dir, c.binaries.initdb, args...)
		var out []byte
		if out, err = cmd.CombinedOutput(); err == nil {
			return nil
		}
		err = fmt.Errorf("initdb: %w: %s", err, lastLine(out))
		if !bytes.Contains(out, []byte("locale")) {
			break
		}
	}
	return err
}

// createRole runs Postgres without any network to make the role and its database.
func (c *cluster) createRole(ctx context.Context, data string) error {
	args := []string{"--single", "-D", data}
	if c.settings["fsync"] == "off" {
		args = append(args, "-F")
	}
	cmd := c.account.command(ctx, c.dir, c.binaries.postgres, append(args, "postgres")...)
	cmd.Stdin = strings.NewReader("CREATE ROLE " + embeddedRole + " LOGIN CREATEDB PASSWORD '" + c.password + "'\n" +
		"CREATE DATABASE " + embeddedRole + " OWNER " + embeddedRole + "\n")
	out, err := cmd.CombinedOutput()
	if err == nil && (bytes.Contains(out, []byte("ERROR:")) || bytes.Contains(out, []byte("FATAL:"))) {
		err = errors.New("statement failed")
	}
	if err != nil {
		return fmt.Errorf("create role: %w: %s", err, lastLine(out))
	}
	return nil
}

func (c *cluster) read() error {
	b, err := os.ReadFile(filepath.Join(c.dir, embeddedPassword))
	if err != nil {
		return fmt.Errorf("read password of embedded Postgres: %w", err)
	}
	c.password = string(b)
	return nil
}

// choosePort keeps the port of the last run when it is free and takes another one
// otherwise.
func (c *cluster) choosePort(ctx context.Context) error {
	last, err := readPort(c.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for port := last; ; port = lowestPort + rand.IntN(highestPort-lowestPort+1) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if port == 0 || !portFree(ctx, port) {
			continue
		}
		c.port = port
		if port == last {
			return nil
		}
		return writeSecret(filepath.Join(c.dir, embeddedPort), strconv.Itoa(port))
	}
}

func portFree(ctx context.Context, port int) bool {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func readPort(dir string) (int, error) {
	b, err := os.ReadFile(filepath.Join(dir, embeddedPort))
	if err != nil {
		return 0, fmt.Errorf("read port of embedded Postgres: %w", err)
	}
	port, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("read port of embedded Postgres: %w", err)
	}
	return int(port), nil
}

// arguments are those of the server process.
func (c *cluster) arguments() []string {
	args := []string{"-D", c.data(), "-p", strconv.Itoa(c.port)}
	for _, name := range slices.Sorted(maps.Keys(c.settings)) {
		args = append(args, "-c", name+"="+c.settings[name])
	}
	return args
}

// writeSecret replaces a small file so that a crash leaves the old or the new one.
func writeSecret(name, text string) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when all went well
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	return err
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return f.Sync()
}

// lastLine is the last line of a program's output, from its error on.
func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	line := lines[len(lines)-1]
	if _, text, ok := strings.Cut(line, "error: "); ok {
		line = text
	}
	return strings.TrimSpace(line)
}
