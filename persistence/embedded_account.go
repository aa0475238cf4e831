package persistence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is the user that the server runs as. Postgres refuses to run as root, so root
// drops to an unprivileged user; everybody else stays who he is.
type account struct {
	name     string
	uid, gid uint32
	drop     bool
}

func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		return account{name: name, uid: uint32(uid), gid: uint32(gid), drop: true}, nil
	}
	return account{}, errors.New("start embedded Postgres: it cannot run as root and there is no user postgres or nobody")
}

// own gives the tree to the account. The lock, the port and the password stay with root.
func (a account) own(dir string) error {
	if !a.drop {
		return nil
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return fmt.Errorf("give database directory to user %s: %w", a.name, err)
	}
	for _, name := range []string{embeddedData, embeddedData + ".new"} {
		err := filepath.WalkDir(filepath.Join(dir, name), func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, int(a.uid), int(a.gid))
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("give database directory to user %s: %w", a.name, err)
		}
	}
	return nil
}

// checkAccess finds out by trying whether the account can run the server inside dir, so that
// the error names the cause instead of being the server's.
func (a account) checkAccess(ctx context.Context, b binaries, dir string) error {
	if !a.drop {
		return nil
	}
	if err := a.command(ctx, "/", b.postgres, "--version").Run(); err != nil {
		return fmt.Errorf("run %s as user %s: %w", b.postgres, a.name, err)
	}
	if err := a.command(ctx, dir, b.postgres, "--version").Run(); err != nil {
		return fmt.Errorf("start embedded Postgres: user %s cannot enter %s: give everybody the right to pass through %s (chmod o+x) or choose another directory",
			a.name, dir, a.firstClosed(dir))
	}
	return nil
}

// firstClosed is the uppermost parent of dir that others may not pass through.
func (a account) firstClosed(dir string) string {
	for i := 1; i < len(dir); i++ {
		if dir[i] != filepath.Separator {
			continue
		}
		if st, err := os.Stat(dir[:i]); err == nil && st.Mode().Perm()&0o001 == 0 {
			return dir[:i]
		}
	}
	return "its parents"
}

// command prepares a program to run as the account, in a session of its own so that Ctrl-C
// in the terminal reaches only us, and to end when we end.
func (a account) command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = serverEnvironment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	dieWithParent(cmd.SysProcAttr)
	if a.drop {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// serverEnvironment is ours without what would change the server's behaviour.
func serverEnvironment() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "PG") || strings.HasPrefix(name, "LC_") || name == "LANG" || name == "HOME" || name == "TZ" {
			continue
		}
		env = append(env, kv)
	}
	return append(env, "LC_ALL=C", "TZ=UTC", "HOME=/")
}
