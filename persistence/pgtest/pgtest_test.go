package pgtest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence"
)

const (
	childVariable = "ROOKERY_PGTEST_CHILD"
	testTimeout   = 2 * time.Minute
)

func TestNewIsMigratedAndSeparate(t *testing.T) {
	t.Parallel()
	a, b := New(t), New(t)
	if _, err := a.Pool().Exec(t.Context(), `INSERT INTO instance_secret (name, value) VALUES ('x', 'y')`); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := b.Pool().QueryRow(t.Context(), `SELECT count(*) FROM instance_secret`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows of another test, %v", n, err)
	}
}

func TestServerStopsAndStarts(t *testing.T) {
	t.Parallel()
	srv := NewServer(t)
	open := func() error {
		db, err := persistence.Open(t.Context(), persistence.Config{URL: srv.URL()})
		if err == nil {
			db.Close()
		}
		return err
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	srv.Stop()
	srv.Stop()
	if err := open(); err == nil {
		t.Error("a stopped server answers")
	}
	srv.Start()
	if err := open(); err != nil {
		t.Error(err)
	}
}

// TestChild is not a test: the process that TestNothingIsLeftBehind kills.
func TestChild(t *testing.T) {
	if os.Getenv(childVariable) == "" {
		return
	}
	New(t)
	NewServer(t)
	at, err := scratch()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("dir", at.dir)
	select {} // until killed
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	child := exec.Command(os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), childVariable+"=1", urlVariable+"=")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		dir, _ = strings.CutPrefix(lines.Text(), "dir ")
	}
	servers, err := filepath.Glob(filepath.Join(dir, "*", "pgdata", "postmaster.pid"))
	if err != nil || len(servers) != 2 {
		t.Fatalf("servers of the child: %v, %v", servers, err)
	}
	var pids []int
	for _, name := range servers {
		pids = append(pids, readPID(t, name))
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(testTimeout)
	for {
		_, err := os.Stat(dir)
		if os.IsNotExist(err) && !runs(pids[0]) && !runs(pids[1]) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still there: directory %v, servers %v", err == nil, pids)
		}
	}
}

func readPID(t *testing.T, name string) int {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	pid, err := strconv.Atoi(string(line))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// runs is false for a process that has ended, reaped or not.
func runs(pid int) bool {
	out, err := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !strings.HasPrefix(string(out), "Z")
}
