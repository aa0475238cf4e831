package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/cmd/load"
)

// stretch is what a client heard of a channel between two moments at which it was
// told to begin afresh: the numbers of the messages.
type stretch struct {
	channel string
	numbers []int
}

// UnmarshalJSON reads [channel, number, ...].
func (r *stretch) UnmarshalJSON(b []byte) error {
	var list []any
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	for i, v := range list {
		switch v := v.(type) {
		case string:
			r.channel = v
		case float64:
			r.numbers = append(r.numbers, int(v))
		default:
			return fmt.Errorf("item %d of a stretch is a %T", i, v)
		}
	}
	return nil
}

// account is what one client of a fleet can tell at the end.
type account struct {
	Recovered int
	Fresh     int
	Runs      []stretch
}

// fleet is many clients of one protocol.
type fleet interface {
	start(count int, nodes []*node, tokens []string)
	cut(from, to int)
	// state is how many are connected now, continued a session and began afresh
	// so far, and the last number that each heard of each channel.
	state() (connected, recovered, fresh int, last []map[string]int)
	report() []account
}

// stockFleet is a process with many stock clients.
type stockFleet struct {
	t   *testing.T
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

func newStockFleet(t *testing.T) *stockFleet {
	t.Helper()
	dir := filepath.Join("testdata", "client")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		t.Fatalf("the stock client is not installed: run make node")
	}
	cmd := exec.Command("node", "fleet.js")
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
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &stockFleet{t: t, in: in, out: bufio.NewReader(out)}
}

func (f *stockFleet) do(cmd map[string]any, into any) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	raw, err := json.Marshal(cmd)
	if err == nil {
		_, err = fmt.Fprintf(f.in, "%s\n", raw)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	line, err := f.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, into)
	}
	if err != nil {
		f.t.Fatalf("%s: %v", cmd["op"], err)
	}
}

func (f *stockFleet) start(count int, nodes []*node, tokens []string) {
	f.t.Helper()
	urls := make([]string, len(nodes))
	for i, n := range nodes {
		urls[i] = n.url()
	}
	f.do(map[string]any{"op": "start", "count": count, "urls": urls, "tokens": tokens}, &struct{}{})
}

func (f *stockFleet) cut(from, to int) {
	f.t.Helper()
	f.do(map[string]any{"op": "cut", "from": from, "to": to}, &struct{}{})
}

func (f *stockFleet) state() (connected, recovered, fresh int, last []map[string]int) {
	f.t.Helper()
	var s struct {
		Connected, Recovered, Fresh int
		Last                        []map[string]int
	}
	f.do(map[string]any{"op": "state"}, &s)
	return s.Connected, s.Recovered, s.Fresh, s.Last
}

func (f *stockFleet) report() []account {
	f.t.Helper()
	var r struct{ Clients []account }
	f.do(map[string]any{"op": "report"}, &r)
	return r.Clients
}

// talk is one sender per channel: message after message, each with the next
// number, until halt. A send that fails is not repeated; its number is unsure.
type talk struct {
	t     *testing.T
	mu    sync.Mutex
	acked map[string]map[int]bool // by channel
	next  map[string]int
	stop  context.CancelFunc
	all   sync.WaitGroup
}

func startTalk(t *testing.T, api load.API, channels []string, every time.Duration) *talk {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	k := &talk{t: t, acked: map[string]map[int]bool{}, next: map[string]int{}, stop: cancel}
	for _, c := range channels {
		k.acked[c] = map[int]bool{}
		k.all.Go(func() { k.speak(ctx, api, c, every) })
	}
	t.Cleanup(k.halt)
	return k
}

func (k *talk) halt() {
	k.stop()
	k.all.Wait()
}

func (k *talk) speak(ctx context.Context, api load.API, channel string, every time.Duration) {
	for ctx.Err() == nil {
		k.mu.Lock()
		k.next[channel]++
		n := k.next[channel]
		k.mu.Unlock()
		k.say(ctx, api, channel, n)
		pause(ctx, every)
	}
}

func (k *talk) say(ctx context.Context, api load.API, channel string, n int) {
	try, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err := api.Call(try, "POST", "/api/messages", load.Body(channel, fmt.Sprintf("#%d of the talk", n)), nil)
	if err == nil {
		k.mu.Lock()
		k.acked[channel][n] = true
		k.mu.Unlock()
	}
}

// close says a last word in every channel, which all have to hear, and returns
// the numbers.
func (k *talk) close(api load.API) map[string]int {
	k.t.Helper()
	k.halt()
	k.mu.Lock()
	last := maps.Clone(k.next)
	k.mu.Unlock()
	for c := range last {
		last[c]++
		await(k.t, "the last word", func() bool {
			k.say(context.Background(), api, c, last[c])
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.acked[c][last[c]] {
				return true
			}
			last[c]++
			return false
		})
	}
	return last
}

// faults counts what must not happen in a stretch: acked messages that are missing,
// messages that came twice, and those that came after a later one.
type faults struct{ lost, doubled, reordered int }

func (k *talk) judge(r stretch, f *faults) {
	seen, highest := map[int]bool{}, 0
	for _, n := range r.numbers {
		switch {
		case seen[n]:
			f.doubled++
		case n < highest:
			f.reordered++
		}
		seen[n] = true
		highest = max(highest, n)
	}
	if len(r.numbers) == 0 {
		return
	}
	for n := r.numbers[0]; n <= highest; n++ {
		if k.acked[r.channel][n] && !seen[n] {
			f.lost++
		}
	}
}
