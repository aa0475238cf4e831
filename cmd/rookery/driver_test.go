package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// driver runs stock socket.io-client sockets in a Node.js process.
type driver struct {
	t  *testing.T
	in io.WriteCloser

	mu      sync.Mutex
	next    int
	replies map[int]chan reply
	events  map[string][]event
	changed chan struct{} // closed and replaced with every event
}

type reply struct {
	ID    int
	OK    bool
	Error string
	Ack   json.RawMessage
	NoAck bool
}

type event struct {
	Sock  string
	Event string
	Args  []json.RawMessage
}

func startDriver(t *testing.T) *driver {
	t.Helper()
	dir := filepath.Join("testdata", "client")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		t.Fatalf("the stock client is not installed: run make node")
	}
	cmd := exec.Command("node", "driver.js")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := &driver{t: t, in: in, replies: map[int]chan reply{}, events: map[string][]event{}, changed: make(chan struct{})}
	read := make(chan struct{})
	go d.read(out, read)
	t.Cleanup(func() {
		_ = in.Close()
		<-read
		_ = cmd.Wait()
	})
	return d
}

func (d *driver) read(out io.Reader, read chan<- struct{}) {
	defer close(read)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var line struct {
			reply
			event
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			d.t.Errorf("driver says %q: %v", lines.Text(), err)
			continue
		}
		d.mu.Lock()
		if line.Sock != "" {
			d.events[line.Sock] = append(d.events[line.Sock], line.event)
			close(d.changed)
			d.changed = make(chan struct{})
		} else if ch := d.replies[line.ID]; ch != nil {
			delete(d.replies, line.ID)
			ch <- line.reply
		}
		d.mu.Unlock()
	}
}

func (d *driver) do(cmd map[string]any) reply {
	d.t.Helper()
	ch := make(chan reply, 1)
	d.mu.Lock()
	d.next++
	cmd["id"] = d.next
	d.replies[d.next] = ch
	raw, err := json.Marshal(cmd)
	if err == nil {
		_, err = fmt.Fprintf(d.in, "%s\n", raw)
	}
	d.mu.Unlock()
	if err != nil {
		d.t.Fatal(err)
	}
	select {
	case r := <-ch:
		return r
	case <-time.After(patience):
		d.t.Fatalf("driver does not answer %s", raw)
		return reply{}
	}
}

func (d *driver) connect(sock string, n *node, token string) reply {
	d.t.Helper()
	return d.do(map[string]any{"op": "connect", "sock": sock, "url": n.url(), "token": token})
}

// online connects and does what the stock client does then.
func (d *driver) online(sock string, n *node, token string) {
	d.t.Helper()
	if r := d.connect(sock, n, token); !r.OK {
		d.t.Fatalf("%s does not connect: %s", sock, r.Error)
	}
	d.emit(sock, "subscribeAll", nil)
	if r := d.ask(sock, "presenceOnline", map[string]any{"idle": false}); string(r.Ack) != `"ACK"` {
		d.t.Fatalf("presenceOnline acked %s", r.Ack)
	}
}

func (d *driver) emit(sock, name string, data any) {
	d.t.Helper()
	d.do(map[string]any{"op": "emit", "sock": sock, "event": name, "data": data})
}

func (d *driver) ask(sock, name string, data any) reply {
	d.t.Helper()
	return d.do(map[string]any{"op": "emit", "sock": sock, "event": name, "data": data, "ack": patience.Milliseconds()})
}

// unacked sends an event that must not be acked. That no ack comes can only be
// known by waiting; the exception that must come instead ends the wait.
func (d *driver) unacked(sock, name string, data any) {
	d.t.Helper()
	r := d.do(map[string]any{"op": "emit", "sock": sock, "event": name, "data": data, "ack": 300})
	if !r.NoAck {
		d.t.Errorf("%s was acked with %s", name, r.Ack)
	}
}

func (d *driver) close(sock string) {
	d.t.Helper()
	d.do(map[string]any{"op": "close", "sock": sock})
}

// seen returns the events of a name that a socket got so far.
func (d *driver) seen(sock, name string) []event {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []event
	for _, e := range d.events[sock] {
		if e.Event == name {
			list = append(list, e)
		}
	}
	return list
}

// expect waits until a socket got n events of a name and returns them.
func (d *driver) expect(sock, name string, n int) []event {
	d.t.Helper()
	deadline := time.After(patience)
	for {
		d.mu.Lock()
		changed := d.changed
		d.mu.Unlock()
		if list := d.seen(sock, name); len(list) >= n {
			if len(list) > n {
				d.t.Errorf("%s got %d %s, want %d: %s", sock, len(list), name, n, list)
			}
			return list
		}
		select {
		case <-changed:
		case <-deadline:
			d.t.Fatalf("%s got %d %s, want %d", sock, len(d.seen(sock, name)), name, n)
		}
	}
}

// arg decodes the first argument of an event.
func (e event) arg(t *testing.T, into any) {
	t.Helper()
	if len(e.Args) == 0 {
		t.Fatalf("%s has no argument", e.Event)
	}
	if err := json.Unmarshal(e.Args[0], into); err != nil {
		t.Fatalf("%s: %v", e.Event, err)
	}
}
