package cluster_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/cluster"
)

// child is a member in a process of its own: the test binary again.
type child struct {
	cmd    *exec.Cmd
	addr   string
	id     string
	rejoin chan string
}

func spawnChild(t *testing.T, join ...string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0]), rejoin: make(chan string, 8)}
	c.cmd.Env = append(os.Environ(), "ROOKERY_CLUSTER_TEST="+strings.Join(join, ","))
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		_, _ = c.cmd.Process.Wait()
	})
	started := make(chan []string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			switch words := strings.Fields(lines.Text()); {
			case len(words) == 3 && words[0] == "started":
				started <- words
			case len(words) == 2 && words[0] == "rejoined":
				c.rejoin <- words[1]
			}
		}
		close(started)
	}()
	words := <-started
	if words == nil {
		t.Fatal("the child did not start")
	}
	c.addr, c.id = words[1], words[2]
	return c
}

func (c *child) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// probe asks for all identities over and over and records how long the slowest
// answer took since the last reset.
type probe struct {
	worst, asked, failed atomic.Int64
	stop                 chan struct{}
	wg                   sync.WaitGroup
}

const probed = 128

func startProbe(n *cluster.Node) *probe {
	p := &probe{stop: make(chan struct{})}
	for w := range 16 {
		p.wg.Go(func() {
			tick := time.NewTicker(4 * time.Millisecond)
			defer tick.Stop()
			for i := w; ; i += 16 {
				select {
				case <-p.stop:
					return
				case <-tick.C:
				}
				begin := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				_, err := n.Ask(ctx, "counter", fmt.Sprintf("id-%d", i%probed), whoami{})
				cancel()
				p.asked.Add(1)
				if err != nil {
					p.failed.Add(1)
				}
				took := int64(time.Since(begin))
				for old := p.worst.Load(); took > old && !p.worst.CompareAndSwap(old, took); old = p.worst.Load() {
				}
			}
		})
	}
	return p
}

// phase reports the bad window of what happened and starts a new one.
func (p *probe) phase(t *testing.T, what string) {
	t.Helper()
	failed := p.failed.Swap(0)
	t.Logf("%-12s %6d asks, %d failed, slowest %v", what, p.asked.Swap(0), failed, time.Duration(p.worst.Swap(0)).Round(time.Millisecond))
	if failed > 0 {
		t.Errorf("%s: %d asks failed", what, failed)
	}
}

func (p *probe) end() {
	close(p.stop)
	p.wg.Wait()
}

func has(n *cluster.Node, id string) bool {
	_, ok := n.View().Member(id)
	return ok
}

// Real processes, one of which is killed, one paused and one terminated, while
// another asks: every ask is answered in the end, and nobody lives twice.
func TestProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	n := start(t, memberConfig(""))
	killed, paused, terminated := spawnChild(t, n.Addr()), spawnChild(t, n.Addr()), spawnChild(t, n.Addr())
	eventually(t, "all four see each other", func() bool { return len(n.View().Members) == 4 })
	p := startProbe(n)
	defer func() { p.end() }()
	everywhere := func() bool {
		where, err := takeCensus(n)
		return err == nil && len(where) == probed && len(doubles(where)) == 0
	}
	eventually(t, "every identity lives once", everywhere)
	p.phase(t, "start")

	killed.signal(t, syscall.SIGKILL)
	eventually(t, "the killed member is gone", func() bool { return !has(n, killed.id) })
	eventually(t, "its identities live elsewhere", everywhere)
	p.phase(t, "kill -9")

	paused.signal(t, syscall.SIGSTOP)
	wake := time.NewTimer(8 * time.Second)
	eventually(t, "the paused member is gone", func() bool { return !has(n, paused.id) })
	<-wake.C
	p.phase(t, "SIGSTOP")
	paused.signal(t, syscall.SIGCONT)
	awake := time.Now()
	fresh := <-paused.rejoin
	t.Logf("rejoined %v after it woke up", time.Since(awake).Round(time.Millisecond))
	if fresh == paused.id {
		t.Error("it rejoined under its old id")
	}
	eventually(t, "it is back", func() bool { return has(n, fresh) && !has(n, paused.id) })
	eventually(t, "every identity lives once again", everywhere)
	p.phase(t, "SIGCONT")

	begin := time.Now()
	terminated.signal(t, syscall.SIGTERM)
	if err := terminated.cmd.Wait(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	t.Logf("exit took %v", time.Since(begin).Round(time.Millisecond))
	eventually(t, "the terminated member is gone", func() bool { return !has(n, terminated.id) })
	eventually(t, "its identities live elsewhere", everywhere)
	p.phase(t, "SIGTERM")
}
