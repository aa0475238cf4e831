package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// TestAdmission has many honest clients come at once with the limits on, most of them
// from one address as behind an office's: those that are too many are refused at the
// upgrade, which they get over by coming again, and nobody is refused after CONNECT,
// which clients do not get over. Then their node is drained and all come to the other.
func TestAdmission(t *testing.T) {
	t.Parallel()
	const office, others = 260, 90 // an address may try 200 times a second, if the machine is that fast
	db := pgtest.NewServer(t).URL()
	nodes := startCluster(t, db, 2, "--rate-limits", "on")
	g := newStage(t, db, nodes...)
	ids := make([]protocol.AnyID, office+others)
	for i := range ids {
		ids[i] = newID()
	}
	if _, err := g.db.Exec(within(t), `INSERT INTO app_user (id, username, display_name, password_hash)
		SELECT id, 'storm-' || id, 'Storm', $2 FROM unnest($1::uuid[]) AS id`, ids, g.hash); err != nil {
		t.Fatal(err)
	}
	storm := &storm{t: t, ctx: within(t)}
	clients := make([]*stormy, len(ids))
	for i, id := range ids {
		clients[i] = &stormy{storm: storm, token: g.token(t, id, newID()), from: "127.0.0.9"}
		if i >= office {
			clients[i].from = fmt.Sprintf("127.0.1.%d", i-office+1)
		}
	}
	storm.all(clients, nodes[0])
	t.Logf("%d connected, %d were refused at the upgrade before", len(clients), storm.refused.Swap(0))
	if err := nodes[0].stop(); err != nil {
		t.Errorf("the drained node ended with %v", err)
	}
	for _, c := range clients {
		select {
		case <-c.socket.Done():
		case <-storm.ctx.Done():
			t.Fatal("a socket of the drained node is open")
		}
	}
	storm.all(clients, nodes[1])
	t.Logf("%d connected to the other node, %d were refused at the upgrade before", len(clients), storm.refused.Load())
	for _, c := range clients {
		c.socket.Close()
	}
}

// storm is clients that come at the same time.
type storm struct {
	t       *testing.T
	ctx     context.Context
	refused atomic.Int64 // at the upgrade
}

// stormy is one of them.
type stormy struct {
	storm       *storm
	token, from string
	socket      *load.Socket
}

// all has all of them connect to a node.
func (s *storm) all(clients []*stormy, n *node) {
	s.t.Helper()
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() { c.connect(n) })
	}
	wg.Wait()
	if s.t.Failed() {
		s.t.FailNow()
	}
}

// connect comes again as long as it is refused at the upgrade.
func (c *stormy) connect(n *node) {
	for {
		socket, err := load.Dial(c.storm.ctx, n.addr, load.Options{Token: c.token, From: c.from, OnEvent: func(name string, data json.RawMessage) {
			if name == "exception" && strings.Contains(string(data), "RATE_LIMITED") {
				c.storm.t.Errorf("after CONNECT: %s", data)
			}
		}})
		var status ws.StatusError
		switch {
		case err == nil:
			c.socket = socket
			return
		case !errors.As(err, &status) || int(status) != http.StatusTooManyRequests:
			c.storm.t.Errorf("from %s: %v", c.from, err)
			return
		}
		c.storm.refused.Add(1)
		select {
		case <-time.After(time.Second): // as Retry-After says at least
		case <-c.storm.ctx.Done():
			c.storm.t.Error("a client does not get in")
			return
		}
	}
}
