//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// target is a sender that can be put under the load.
type target interface {
	name() string
	start(ctx context.Context, l load) (running, error)
}

// running is a target that has been started.
type running interface {
	addr() string
	subscriberArgs() []string                   // tokens, mode, path
	begin(ctx context.Context) error            // when all subscribers are ready
	finish(ctx context.Context) (report, error) // when the load is sent
	stop()                                      // when the subscribers are done
}

// outcome is one run of one target.
type outcome struct {
	target string
	load   load
	sent   report
	got    tally
}

// clean reports whether nothing was lost and the tail of the latencies is short.
func (o outcome) clean(limit float64) bool {
	return o.got.Lost == 0 && o.got.Repeated == 0 && o.got.Closed == 0 && o.got.P99 < limit
}

func runFanout(ctx context.Context, args []string) error {
	var l load
	fs := flag.NewFlagSet("fanout", flag.ExitOnError)
	l.flags(fs)
	highest := fs.Bool("highest", false, "search the highest rate without loss and with p99 below the limit")
	limit := fs.Float64("p99", 250, "limit of p99 in ms for --highest")
	only := fs.String("only", "", "run only the targets whose name contains this")
	_ = fs.Parse(args)
	targets := []target{child{"floor", 0}, child{"floor", 5 * time.Millisecond}, child{"transport", 4 * time.Millisecond}}
	fmt.Printf("%-16s %9s %12s %8s %7s %10s %9s %7s %9s %9s\n",
		"target", "rate", "deliveries/s", "lost", "writes%", "cpu s/M", "of floor", "cpu%", "p50 ms", "p99 ms")
	base := 0.0
	for _, t := range targets {
		if !strings.Contains(t.name(), *only) {
			continue
		}
		var o outcome
		var err error
		if *highest {
			o, err = search(ctx, t, l, *limit)
		} else {
			o, err = measure(ctx, t, l)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t.name(), err)
		}
		figure := o.sent.PerMillion
		if *highest {
			figure = o.load.Rate
		}
		if base == 0 {
			base = figure
		}
		row(o, figure/base)
	}
	return nil
}

// row prints one outcome.
func row(o outcome, ratio float64) {
	perSecond := float64(o.sent.Deliveries) / o.sent.Seconds
	fmt.Printf("%-16s %9.0f %12.0f %8d %7.1f %10.2f %9.2f %7.0f %9.2f %9.2f\n", o.target, o.load.Rate, perSecond, o.got.Lost,
		100*float64(o.sent.Writes)/float64(o.sent.Deliveries), o.sent.PerMillion, ratio, 100*o.sent.CPU/o.sent.Seconds, o.got.P50, o.got.P99)
}

// search doubles the rate until a run is not clean, then halves the interval.
func search(ctx context.Context, t target, l load, limit float64) (best outcome, err error) {
	low, high, failures := 0.0, 0.0, 0
	for high == 0 || high/low > 1.15 {
		if l.Rate = low * 2; low == 0 {
			l.Rate = 5
		}
		if high > 0 {
			l.Rate = (low + high) / 2
		}
		o, err := measure(ctx, t, l)
		if err != nil {
			return best, err
		}
		switch {
		case o.clean(limit):
			best, low, failures = o, l.Rate, 0
		case failures == 0: // once may be the machine
			failures++
		case low == 0:
			return o, errors.New("not even the lowest rate is clean")
		default:
			high, failures = l.Rate, 0
		}
	}
	return best, nil
}

// measure runs one target with its subscribers.
func measure(ctx context.Context, t target, l load) (outcome, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o := outcome{target: t.name(), load: l}
	r, err := t.start(ctx, l)
	if err != nil {
		return o, err
	}
	defer r.stop()
	subs, err := spawn(ctx, append([]string{
		"subscribers", "--addr", r.addr(), "--conns", strconv.Itoa(l.Conns), "--expect", strconv.Itoa(l.events()), "--idle", "15s",
	}, r.subscriberArgs()...)...)
	if err != nil {
		return o, err
	}
	defer subs.stop()
	if err := subs.await("ready", nil); err != nil {
		return o, fmt.Errorf("subscribers: %w", err)
	}
	if err := r.begin(ctx); err != nil {
		return o, err
	}
	if o.sent, err = r.finish(ctx); err != nil {
		return o, err
	}
	if err := subs.await("received", &o.got); err != nil {
		return o, fmt.Errorf("subscribers: %w", err)
	}
	return o, nil
}

// child is a target that is another command of this program. It begins by
// itself when its subscribers are ready.
type child struct {
	command string
	tick    time.Duration
}

func (c child) name() string {
	if c.tick == 0 {
		return c.command
	}
	return c.command + " " + c.tick.String()
}

func (c child) start(ctx context.Context, l load) (running, error) {
	l.Tick = c.tick
	p, err := spawn(ctx, append([]string{c.command}, l.args()...)...)
	if err != nil {
		return nil, err
	}
	var hello listening
	if err := p.await("listening", &hello); err != nil {
		p.stop()
		return nil, err
	}
	return &childRun{p, hello.Addr}, nil
}

type childRun struct {
	*process
	address string
}

func (r *childRun) addr() string                { return r.address }
func (r *childRun) subscriberArgs() []string    { return []string{"--mode", "socketio"} }
func (r *childRun) begin(context.Context) error { return nil }

func (r *childRun) finish(context.Context) (report, error) {
	var rep report
	err := r.await("sent", &rep)
	return rep, err
}

// process is a command of this program in a process of its own.
type process struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func spawn(ctx context.Context, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd, bufio.NewScanner(out)}, nil
}

// await reads lines up to the one of that event, and decodes it.
func (p *process) await(event string, into any) error {
	for p.lines.Scan() {
		var n note
		if err := json.Unmarshal(p.lines.Bytes(), &n); err != nil {
			return err
		}
		if n.Event != event {
			continue
		}
		if into == nil {
			return nil
		}
		return json.Unmarshal(p.lines.Bytes(), into)
	}
	return fmt.Errorf("ended before %q: %w", event, errors.Join(p.lines.Err(), io.ErrUnexpectedEOF))
}

// stop ends the process, if it has not ended yet.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
