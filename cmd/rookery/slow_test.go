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
		messages = 600
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
	var complete sync.WaitGroup
	complete.Add(sockets - 1)
	gate := make(chan struct{}, 50)
	for i := range sockets - 1 {
		dialed.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			_, err := load.Dial(ctx, n.addr, load.Options{Token: tokens[i%len(tokens)], From: fmt.Sprintf("127.0.1.%d", 1+i%200), OnFrame: func(b []byte) {
				if bytes.HasPrefix(b, []byte(`42["newMessage"`)) && got[i].Add(1) == messages {
					complete.Done()
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
	var senders sync.WaitGroup
	for i := range 24 {
		senders.Go(func() {
			s, err := load.Dial(ctx, n.addr, load.Options{Token: w.owner.Token})
			if err != nil {
				t.Error(err)
				return
			}
			for range messages / 24 {
				if _, err := s.SendMessage(ctx, w.owner.General, fmt.Sprint(i, text)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	senders.Wait()
	all := make(chan struct{})
	go func() { complete.Wait(); close(all) }()
	select {
	case <-all:
	case <-ctx.Done():
		missing := 0
		for i := range got {
			if got[i].Load() != messages {
				missing++
			}
		}
		t.Fatalf("%d sockets did not get everything", missing)
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
