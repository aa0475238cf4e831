//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"
)

// runFanout compares senders that this program contains.
func runFanout(ctx context.Context, args []string) error {
	var l load
	fs := flag.NewFlagSet("fanout", flag.ExitOnError)
	l.flags(fs)
	highest := fs.Bool("highest", false, "search the highest rate without loss and with p99 below the limit")
	limit := fs.Float64("p99", cleanP99, "limit of p99 in ms for --highest")
	only := fs.String("only", "", "run only the targets whose name contains this")
	_ = fs.Parse(args)
	targets := []target{child{"floor", 0}, child{"floor", 5 * time.Millisecond}, child{"transport", 4 * time.Millisecond}}
	rowHead()
	base := 0.0
	for _, t := range targets {
		if !strings.Contains(t.name(), *only) {
			continue
		}
		var o outcome
		var err error
		if *highest {
			o, err = search(ctx, t, l.Conns, l, *limit)
		} else {
			o, err = once(ctx, t, l)
		}
		if err != nil {
			return err
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

// cleanP99 is the latency in ms below which a rate is clean.
const cleanP99 = 250

// once runs one round of a target with new subscribers.
func once(ctx context.Context, t target, l load) (o outcome, err error) {
	s, err := open(ctx, t, l.Conns, 64)
	if err != nil {
		return o, err
	}
	defer s.close()
	if err := s.warm(ctx, l); err != nil {
		return o, err
	}
	return s.round(ctx, l)
}

func rowHead() {
	fmt.Printf("%-16s %9s %12s %8s %7s %10s %9s %7s %9s %9s\n",
		"target", "rate", "deliveries/s", "lost", "writes%", "cpu s/M", "of floor", "cpu%", "p50 ms", "p99 ms")
}

// row prints one outcome.
func row(o outcome, ratio float64) {
	fmt.Printf("%-16s %9.1f %12.0f %8d %7.1f %10.2f %9.2f %7.0f %9.2f %9.2f\n", o.target, o.load.Rate, o.perSecond(), o.got.Lost,
		100*float64(o.sent.Writes)/float64(o.sent.Deliveries), o.sent.PerMillion, ratio, 100*o.sent.CPU/o.sent.Seconds, o.got.P50, o.got.P99)
}
