package persistence

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// binaries are the programs of one Postgres installation.
type binaries struct {
	initdb, postgres string
	version          int // major
}

// installations are the places where packages put Postgres: Debian and Ubuntu, Red Hat,
// Homebrew on both kinds of Mac, Postgres.app, Alpine, Arch and source builds.
var installations = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
	"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
	"/opt/homebrew/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
	"/usr/libexec/postgresql*",
	"/usr/bin",
	"/usr/local/bin",
	"/usr/local/pgsql/bin",
}

// findBinaries returns the newest installation, or the one of version when that is not 0:
// a data directory can be opened only by the major version that made it.
func findBinaries(ctx context.Context, version int) (binaries, error) {
	return chooseBinaries(ctx, version, binaryDirs())
}

func binaryDirs() []string {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range installations {
		found, err := filepath.Glob(pattern)
		if err == nil { // patterns are constants and well-formed
			dirs = append(dirs, found...)
		}
	}
	return dirs
}

func chooseBinaries(ctx context.Context, version int, dirs []string) (binaries, error) {
	var best binaries
	var seen []int
	for _, dir := range dirs {
		b, err := readBinaries(ctx, dir)
		if err != nil {
			continue // nothing there
		}
		seen = append(seen, b.version)
		if version != 0 && b.version != version {
			continue
		}
		if b.version > best.version {
			best = b
		}
	}
	slices.Sort(seen)
	seen = slices.Compact(seen)
	switch {
	case version != 0 && best.version == 0:
		return best, fmt.Errorf("find Postgres: the database directory was made by Postgres %d, which is not installed (found: %s)", version, versions(seen))
	case best.version == 0:
		return best, errors.New("find Postgres: no Postgres installation found: install one (14 or newer) or give a database URL")
	case best.version < minServerVersion/10000:
		return best, fmt.Errorf("find Postgres: Postgres %d is too old, install %d or newer or give a database URL", best.version, minServerVersion/10000)
	}
	return best, nil
}

func versions(list []int) string {
	if len(list) == 0 {
		return "none"
	}
	var texts []string
	for _, v := range list {
		texts = append(texts, strconv.Itoa(v))
	}
	return strings.Join(texts, ", ")
}

// "postgres (PostgreSQL) 15.4 (Debian 15.4-1)", "postgres (PostgreSQL) 17beta1"
var versionText = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

func readBinaries(ctx context.Context, dir string) (binaries, error) {
	b := binaries{initdb: filepath.Join(dir, "initdb"), postgres: filepath.Join(dir, "postgres")}
	for _, name := range []string{b.initdb, b.postgres} {
		if _, err := exec.LookPath(name); err != nil {
			return b, err
		}
	}
	out, err := exec.CommandContext(ctx, b.postgres, "--version").Output()
	if err != nil {
		return b, err
	}
	m := versionText.FindSubmatch(out)
	if m == nil {
		return b, fmt.Errorf("unknown version %q", out)
	}
	b.version, err = strconv.Atoi(string(m[1]))
	return b, err
}
