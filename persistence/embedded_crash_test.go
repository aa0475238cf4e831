package persistence_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

const childVariable = "ROOKERY_TEST_EMBEDDED_CHILD"

// TestEmbeddedChild is not a test: the process that TestEmbeddedRecoversAfterKill kills.
func TestEmbeddedChild(t *testing.T) {
	dir := os.Getenv(childVariable)
	if dir == "" {
		return
	}
	e := startEmbedded(t, dir)
	c := connect(t, e.URL())
	if _, err := c.Exec(t.Context(), `CREATE TABLE kept (n int)`); err != nil {
		t.Fatal(err)
	}
	fmt.Println("server", e.PID())
	for n := 0; ; n++ { // until killed
		if _, err := c.Exec(t.Context(), `INSERT INTO kept VALUES ($1)`, n); err != nil {
			t.Fatal(err)
		}
		fmt.Println("committed", n)
	}
}

func TestEmbeddedRecoversAfterKill(t *testing.T) {
	t.Parallel()
	for _, both := range []bool{false, true} {
		t.Run(fmt.Sprintf("server too %v", both), func(t *testing.T) {
			t.Parallel()
			recoverAfterKill(t, both)
		})
	}
}

func recoverAfterKill(t *testing.T, both bool) {
	dir := pgtest.Dir(t)
	child := exec.Command(os.Args[0], "-test.run=^TestEmbeddedChild$")
	child.Env = append(os.Environ(), childVariable+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	server, committed := 0, -1
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		_, _ = fmt.Sscanf(lines.Text(), "server %d", &server)
		_, _ = fmt.Sscanf(lines.Text(), "committed %d", &committed)
		if committed == 200 {
			break
		}
	}
	if server == 0 || committed != 200 {
		t.Fatalf("child: server %d, committed %d", server, committed)
	}
	if both {
		err = syscall.Kill(server, syscall.SIGKILL)
	}
	if kerr := child.Process.Kill(); err == nil {
		err = kerr
	}
	if err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // what it said before it died
		_, _ = fmt.Sscanf(lines.Text(), "committed %d", &committed)
	}
	_ = child.Wait() // killed
	e := startEmbedded(t, dir)
	if e.PID() == server {
		t.Error("the old server was taken over")
	}
	var n int
	if err := connect(t, e.URL()).QueryRow(t.Context(), `SELECT count(*) FROM kept WHERE n <= $1`, committed).Scan(&n); err != nil || n != committed+1 {
		t.Errorf("%d of %d committed rows are there, %v", n, committed+1, err)
	}
}

func TestEmbeddedStopsOrphan(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	stopEmbedded(t, startEmbedded(t, dir))
	pid, exited, err := persistence.StartOrphan(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	e := startEmbedded(t, dir)
	select {
	case <-exited:
	default:
		t.Errorf("the orphan %d still runs beside %d", pid, e.PID())
	}
	connect(t, e.URL())
}

// A process id file that names a living process which is no server of ours, as after a
// reboot or in a new container.
func TestEmbeddedIgnoresForeignProcess(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	e := startEmbedded(t, dir)
	name := filepath.Join(dir, "pgdata", "postmaster.pid")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	stopEmbedded(t, e)
	sleeper := exec.Command("sleep", "600")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = sleeper.Process.Kill()
		_ = sleeper.Wait()
	}()
	_, rest, _ := strings.Cut(string(b), "\n")
	if err := os.WriteFile(name, fmt.Appendf(nil, "%d\n%s", sleeper.Process.Pid, rest), 0o600); err != nil {
		t.Fatal(err)
	}
	connect(t, startEmbedded(t, dir).URL())
	if err := sleeper.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the other process was ended: %v", err)
	}
}

func TestEmbeddedTakesAnotherPort(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	e := startEmbedded(t, dir)
	stopEmbedded(t, e)
	u, err := url.Parse(e.URL())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	again := startEmbedded(t, dir)
	if again.URL() == e.URL() {
		t.Error("the URL is that of somebody else's port")
	}
	connect(t, again.URL())
}

func TestEmbeddedStopsHardWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	e := startEmbedded(t, pgtest.Dir(t))
	if err := syscall.Kill(e.PID(), syscall.SIGSTOP); err != nil { // it cannot shut down
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Stop(ctx); err == nil || !strings.Contains(err.Error(), "hard") {
		t.Errorf("stop: %v", err)
	}
	if e.PID() != 0 {
		t.Error("the server still runs")
	}
}

// A crash while the cluster was made leaves something behind that is simply made again.
func TestEmbeddedStartsOverAfterHalfCreation(t *testing.T) {
	t.Parallel()
	dir := pgtest.Dir(t)
	half := filepath.Join(dir, "pgdata.new")
	if err := os.MkdirAll(half, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	connect(t, startEmbedded(t, dir).URL())
}
