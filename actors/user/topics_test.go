package user

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// counter counts statements, those of batches one by one.
type counter struct{ n atomic.Int64 }

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.n.Add(1)
	return ctx
}

func (*counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (*counter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (c *counter) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) { c.n.Add(1) }

func (*counter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// A socket costs as many statements when its user is in a hundred communities as
// when he is in one.
func TestStatementsOfConnecting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	count := &counter{}
	db, err := persistence.Open(t.Context(), persistence.Config{URL: w.db.Pool().Config().ConnString(), MaxConns: 1, Tracer: count})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	connect := func() (statements int64, topics int) {
		t.Helper()
		w.activate(w.s.user.ID)
		w.s.db = db
		before := count.n.Load()
		conn, r := w.connect("n1")
		c := r.reply.(*protocol.Connected)
		w.run(w.s.syncRooms(w.turn(), &protocol.SyncRooms{Conn: conn, Version: c.Version, Rooms: c.Rooms}))
		return count.n.Load() - before, len(c.Topics)
	}
	w.channel(w.community("first"), "general", false)
	connect() // the first statements of a connection are about itself
	one, topics := connect()
	if topics != 3 {
		t.Fatalf("%d topics", topics)
	}
	for i := range 99 {
		c := w.community(fmt.Sprintf("community %d", i))
		for j := range 5 {
			w.channel(c, fmt.Sprintf("channel %d", j), false)
		}
	}
	hundred, topics := connect()
	if topics != 3+99*6 {
		t.Errorf("%d topics", topics)
	}
	t.Logf("%d statements", one)
	if one != hundred || one > 5 {
		t.Errorf("%d statements for a hundred communities, %d for one", hundred, one)
	}
}
