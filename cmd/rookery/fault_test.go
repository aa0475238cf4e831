package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// TestKill sends from 50 clients while the server, with its embedded Postgres,
// is killed at random moments and started again.
func TestKill(t *testing.T) {
	rounds, length := 2, 2*time.Second
	if soak() {
		rounds, length = 5, 10*time.Second
	}
	n := startNode(t)
	w := newWorkload(t, n, 10)
	w.run(50, n)
	for i := range rounds {
		w.phase.Store(int64(i))
		w.awaitProgress(50)
		// The moment is random on purpose: it is what is tested.
		pause(t.Context(), time.Duration(rand.Int64N(int64(length))))
		n.crash()
		n.start()
	}
	w.awaitProgress(50)
	w.halt()
	w.verify(n, databaseURL(t, n))
	for _, line := range n.problems() {
		t.Errorf("server logged %s", line)
	}
}

func databaseURL(t *testing.T, n *node) string {
	t.Helper()
	out, err := exec.Command(binary, "postgres-url", "--data", n.data).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestOutage stops Postgres under load: live messages go on, acks wait, nothing
// acked is lost.
func TestOutage(t *testing.T) {
	away := 3 * time.Second
	if soak() {
		away = 10 * time.Second
	}
	pg := pgtest.NewServer(t)
	n := startNode(t, "--database-url", pg.URL())
	w := newWorkload(t, n, 10)
	l, speaker := listen(t, n, w.owner.Token), listen(t, n, w.owner.Token)
	w.run(50, n)
	w.awaitProgress(200)
	before := rss(t, n)
	pg.Stop()
	// The clients wait for acks that can't come. What others say is heard.
	const spoken = 40 // fewer than one client may have under way
	var want []string
	for i := range spoken {
		text := fmt.Sprintf("during the outage %02d", i)
		want = append(want, text)
		if err := speaker.s.Emit("sendMessage", load.Body(w.channels[i%2], text)); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "messages are heard while Postgres is away", func() bool { return len(l.heard("during")) >= spoken })
	// Those of one channel keep their order.
	got := l.heard("during")
	slices.SortStableFunc(got, func(a, b string) int { return int(a[len(a)-1]%2) - int(b[len(b)-1]%2) })
	slices.SortStableFunc(want, func(a, b string) int { return int(a[len(a)-1]%2) - int(b[len(b)-1]%2) })
	if !slices.Equal(got, want) {
		t.Errorf("heard %q", got)
	}
	pause(t.Context(), away)
	t.Logf("away for %v; memory %d KiB before, %d KiB now", away, before, rss(t, n))
	pg.Start()
	w.awaitProgress(200)
	w.halt()
	w.verify(n, pg.URL())
	if now := rss(t, n); now > before+300<<10 {
		t.Errorf("memory grew from %d to %d KiB", before, now)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, times := range l.ids {
		if times != 1 {
			t.Errorf("message %s was heard %d times", id, times)
		}
	}
}

// TestOutageBound fills the write queue while Postgres is away: senders get a
// clear error that says they may retry, and can send again when it is back.
func TestOutageBound(t *testing.T) {
	pg := pgtest.NewServer(t)
	n := startNode(t, "--database-url", pg.URL(), "--write-queue", "200")
	w := newWorkload(t, n, 4)
	d := startDriver(t)
	d.online("owner", n, w.owner.Token)
	pg.Stop()
	refused := func() bool { return len(d.seen("owner", "exception")) > 0 }
	for i := 0; !refused() && i < 2000; i++ {
		d.emit("owner", "sendMessage", map[string]any{"channelId": w.channels[i%4], "attachments": []string{},
			"spans": []map[string]string{{"type": "PLAINTEXT", "text": fmt.Sprint("message ", i)}}})
	}
	await(t, "a send is refused", refused)
	var ex struct{ Status, Message string }
	d.seen("owner", "exception")[0].arg(t, &ex)
	if ex.Status != "error" || !strings.Contains(ex.Message, "retry") {
		t.Errorf("the refusal says %+v", ex)
	}
	pg.Start()
	await(t, "sends succeed again", func() bool {
		r := d.ask("owner", "sendMessage", map[string]any{"channelId": w.channels[0], "attachments": []string{},
			"spans": []map[string]string{{"type": "PLAINTEXT", "text": "back"}}})
		return !r.NoAck
	})
	w.verifySequence(within(t), pg.URL())
}

// rss is the resident memory of the server in KiB.
func rss(t *testing.T, n *node) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(raw), "\n") {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// TestCluster is what can go wrong with nodes while 200 channels are busy.
func TestCluster(t *testing.T) {
	channels, clients := 60, 30
	if soak() {
		channels, clients = 200, 64
	}
	pg := pgtest.NewServer(t)
	nodes := startCluster(t, pg.URL(), 3)
	whole := t // nodes outlive the step that starts them
	w := newWorkload(t, nodes[0], channels)
	w.run(clients, nodes[0], nodes[1])
	w.recovery(time.Now())

	t.Run("kill", func(t *testing.T) {
		w.phase.Add(1)
		since := time.Now()
		nodes[2].crash()
		t.Logf("kill -9: every channel took a message again after %v", w.recovery(since))
	})
	t.Run("join", func(t *testing.T) {
		w.phase.Add(1)
		nodes[2] = joinCluster(whole, pg.URL(), nodes[:2])
		awaitMembers(t, nodes[0], 3)
		awaitMembers(t, nodes[2], 3)
		t.Logf("join: every channel took a message after %v", w.recovery(time.Now()))
	})
	t.Run("pause", func(t *testing.T) {
		w.phase.Add(1)
		since := time.Now()
		nodes[2].signal(syscall.SIGSTOP)
		t.Logf("pause: every channel took a message again after %v", w.recovery(since))
		pause(t.Context(), max(0, 8*time.Second-time.Since(since)))
		nodes[2].signal(syscall.SIGCONT)
		for _, n := range nodes {
			awaitMembers(t, n, 3)
		}
		w.recovery(time.Now())
	})
	t.Run("drain", func(t *testing.T) {
		w.phase.Add(1)
		failed := w.failed.Load()
		since := time.Now()
		if err := nodes[2].stop(); err != nil {
			t.Errorf("the drained node ended with %v", err)
		}
		t.Logf("drain: process ended after %v, every channel took a message after %v", time.Since(since), w.recovery(since))
		if now := w.failed.Load(); now != failed {
			t.Errorf("%d sends through other nodes failed during the drain", now-failed)
		}
	})
	w.halt()
	w.verify(nodes[0], pg.URL())
	for _, n := range nodes {
		for _, line := range n.problems() {
			t.Errorf("%s logged %s", n.addr, line)
		}
	}
}
