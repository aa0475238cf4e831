package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/cmd/load"
)

// patience is how long a test waits for something that must happen; machines
// that run tests may be slow.
const patience = 90 * time.Second

// soak reports whether the long versions of the fault tests were asked for.
func soak() bool { return os.Getenv("ROOKERY_SOAK") != "" }

// binary is the server under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "rookery-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "rookery")
	args := []string{"build", "-o", binary}
	if raceEnabled {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, ".")...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the server:", err)
		os.Exit(1)
	}
	// Only tests of voice need its server; they say --voice on.
	_ = os.Setenv("ROOKERY_VOICE", "off")
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// node is a running server process.
type node struct {
	t       *testing.T
	args    []string
	data    string
	addr    string // host:port of clients
	gossip  string
	profile string // host:port of profiles and figures
	cmd     *exec.Cmd
	exited  chan error

	mu   sync.Mutex
	logs []string
}

// startNode runs rookery serve and waits until it listens. Rate limits are off;
// args come last and win.
func startNode(t *testing.T, args ...string) *node {
	t.Helper()
	n := &node{t: t, data: t.TempDir(), profile: freeAddr(t)}
	traversable(t, n.data)
	n.args = append([]string{"--listen", "127.0.0.1:0", "--data", n.data, "--rate-limits", "off", "--profile-listen", n.profile}, args...)
	n.start()
	t.Cleanup(n.kill)
	return n
}

// traversable lets the unprivileged user of the embedded Postgres reach dir:
// test directories belong to one user only.
func traversable(t *testing.T, dir string) {
	t.Helper()
	for d := dir; d != filepath.Dir(d) && strings.HasPrefix(d, os.TempDir()) && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// start runs the process with the arguments of the first start; after the
// first one it listens where it did.
func (n *node) start() {
	n.t.Helper()
	args := append([]string{"serve", "--log-format", "json"}, n.args...)
	if n.addr != "" {
		args = append(args, "--listen", n.addr)
	}
	n.cmd = exec.Command(binary, args...)
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	stderr, err := n.cmd.StderrPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	n.cmd.Stdout = io.Discard
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	listening := make(chan string, 1)
	read := make(chan struct{})
	go n.follow(stderr, listening, read)
	n.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, exited chan error) {
		<-read
		exited <- cmd.Wait()
	}(n.cmd, n.exited)
	select {
	case n.addr = <-listening:
	case err := <-n.exited:
		n.t.Fatalf("server ended: %v\n%s", err, n.tail())
	case <-time.After(patience):
		n.t.Fatalf("server does not listen\n%s", n.tail())
	}
}

func (n *node) follow(logs io.Reader, listening chan<- string, read chan<- struct{}) {
	defer close(read)
	lines := bufio.NewScanner(logs)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		n.mu.Lock()
		n.logs = append(n.logs, lines.Text())
		n.mu.Unlock()
		var l struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &l) == nil && l.Msg == "listening" {
			select {
			case listening <- l.Address:
			default:
			}
		}
	}
}

// tail is the end of the log, for failures.
func (n *node) tail() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.logs[max(0, len(n.logs)-40):], "\n")
}

// problems are log lines of level ERROR and traces of panics.
func (n *node) problems() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var bad []string
	for _, l := range n.logs {
		if strings.Contains(l, `"level":"ERROR"`) || strings.Contains(l, "panic") || strings.Contains(l, "DATA RACE") {
			bad = append(bad, l)
		}
	}
	return bad
}

func (n *node) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Errorf("signal %v: %v", s, err)
	}
}

// crash kills the process as a power cut would.
func (n *node) crash() {
	n.t.Helper()
	n.signal(syscall.SIGKILL)
	<-n.exited
	n.cmd = nil
}

// stop ends the process as an operator does and returns how it ended.
func (n *node) stop() error {
	n.t.Helper()
	n.signal(syscall.SIGTERM)
	select {
	case err := <-n.exited:
		n.cmd = nil
		return err
	case <-time.After(patience):
		n.t.Fatalf("server does not stop\n%s", n.tail())
		return nil
	}
}

// kill cleans up after a test. The log is shown when the test failed.
func (n *node) kill() {
	if n.cmd != nil {
		_ = n.cmd.Process.Signal(syscall.SIGCONT)
		_ = n.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-n.exited:
		case <-time.After(20 * time.Second):
			_ = n.cmd.Process.Kill()
			<-n.exited
		}
	}
	if n.t.Failed() {
		n.t.Logf("log of %s:\n%s", n.addr, n.tail())
	}
}

func (n *node) url() string   { return "http://" + n.addr }
func (n *node) api() load.API { return load.API{Base: n.url()} }

// within is a context that ends with the test's patience.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// startCluster runs n nodes that share a database and know each other.
func startCluster(t *testing.T, databaseURL string, n int, args ...string) []*node {
	t.Helper()
	nodes := make([]*node, n)
	for i := range nodes {
		nodes[i] = joinCluster(t, databaseURL, nodes[:i], args...)
	}
	for _, node := range nodes {
		awaitMembers(t, node, n)
	}
	return nodes
}

func joinCluster(t *testing.T, databaseURL string, others []*node, more ...string) *node {
	t.Helper()
	gossip := freeAddr(t)
	args := []string{"--database-url", databaseURL, "--cluster-listen", gossip}
	var seeds []string
	for _, o := range others {
		seeds = append(seeds, o.gossip)
	}
	if len(seeds) > 0 {
		args = append(args, "--join", strings.Join(seeds, ","))
	}
	node := startNode(t, append(args, more...)...)
	node.gossip = gossip
	return node
}

// awaitMembers waits until the node sees a cluster of that many.
func awaitMembers(t *testing.T, n *node, want int) {
	t.Helper()
	await(t, fmt.Sprintf("%s sees %d nodes", n.addr, want), func() bool {
		f, err := n.figures()
		return err == nil && f.Nodes == want
	})
}

// figures asks the node how it is.
func (n *node) figures() (f figures, err error) {
	res, err := http.Get("http://" + n.profile + "/debug/stats")
	if err != nil {
		return f, err
	}
	defer res.Body.Close()
	return f, json.NewDecoder(res.Body).Decode(&f)
}

// await polls another process for a condition that has no signal.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		<-tick.C
	}
}

// freeAddr is a port that was free a moment ago, with a free one after it.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
