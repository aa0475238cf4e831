package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rookery-chat/rookery/cmd/load"
)

// TestSlowReader has one socket of many stop reading: the others get
// everything, the server's memory stays bounded, the slow one is closed.
func TestSlowReader(t *testing.T) {
	const (
		sockets  = 1000
		senders  = 24
		rounds   = 24
		messages = senders * rounds
		size     = 4000
	)
	n := startNode(t)
	w := newWorkload(t, n, 1)
	ctx := within(t)

	tokens := []string{w.owner.Token} // a user has a limited number of sockets
	for i := range 9 {
		_, token, err := n.api().Register(ctx, fmt.Sprint("user", i), w.owner.Invite)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}

	// The slow one reads until it is told to stop.
	stop, goOn := make(chan struct{}), make(chan struct{})
	slow, err := load.Dial(ctx, n.addr, load.Options{Token: w.owner.Token, ReadBuffer: 4096, OnFrame: func([]byte) {
		select {
		case <-stop:
			<-goOn
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]atomic.Int64, sockets-1)
	var dialed sync.WaitGroup
	var total atomic.Int64 // of all sockets
	round := make(chan int64, rounds)
	gate := make(chan struct{}, 50)
	for i := range sockets - 1 {
		dialed.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			_, err := load.Dial(ctx, n.addr, load.Options{Token: tokens[i%len(tokens)], From: fmt.Sprintf("127.0.1.%d", 1+i%200), OnFrame: func(b []byte) {
				if !bytes.HasPrefix(b, []byte(`42["newMessage"`)) {
					return
				}
				got[i].Add(1)
				if n := total.Add(1); n%((sockets-1)*senders) == 0 {
					round <- n
				}
			}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	dialed.Wait()
	if t.Failed() {
		t.FailNow()
	}
	before := rss(t, n)
	close(stop)
	text := strings.Repeat("x", size)
	speakers := make([]*load.Socket, senders)
	for i := range speakers {
		if speakers[i], err = load.Dial(ctx, n.addr, load.Options{Token: w.owner.Token}); err != nil {
			t.Fatal(err)
		}
	}
	// The next round begins when the others have the last one: none of them can
	// be taken for slow, however busy the machine is.
	for r := range rounds {
		var sent sync.WaitGroup
		for i, s := range speakers {
			sent.Go(func() {
				if _, err := s.SendMessage(ctx, w.owner.General, fmt.Sprint(r, i, text)); err != nil {
					t.Error(err)
				}
			})
		}
		sent.Wait()
		select {
		case <-round:
		case <-ctx.Done():
			t.Fatalf("round %d: only %d of %d events arrived", r, total.Load(), (r+1)*senders*(sockets-1))
		}
	}
	for i := range got {
		if c := got[i].Load(); c != messages {
			t.Errorf("socket %d got %d messages", i, c)
		}
	}
	await(t, "the slow socket is given up", func() bool {
		f, err := n.figures()
		return err == nil && f.Sockets.SlowReaders == 1
	})
	after := rss(t, n)
	t.Logf("memory with %d sockets: %d KiB before, %d KiB after %d messages", sockets, before, after, messages)
	if after > before+300<<10 {
		t.Errorf("memory grew from %d to %d KiB", before, after)
	}
	close(goOn)
	select {
	case <-slow.Done():
	case <-ctx.Done():
		t.Error("the slow socket stays open")
	}
	for _, line := range n.problems() {
		t.Errorf("server logged %s", line)
	}
}
