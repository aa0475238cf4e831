package channel

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// tag makes ids of any kind.
type tag struct{}

// schema is one database and writer, with some users.
type schema struct {
	db     *persistence.DB
	writer *persistence.Writer
	users  []protocol.UserID
	com    protocol.CommunityID
}

func newSchema(t *testing.T) *schema {
	t.Helper()
	db := pgtest.New(t)
	w := persistence.NewWriter(db, persistence.WriterConfig{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	sc := &schema{db: db, writer: w, com: protocol.CommunityID(protocol.NewID[tag]())}
	for range 4 {
		sc.users = append(sc.users, protocol.UserID(protocol.NewID[tag]()))
	}
	sc.exec(t, `INSERT INTO app_user (id, username, password_hash) SELECT id, 'user-' || id, 'x' FROM unnest($1::uuid[]) AS id`, sc.users)
	sc.exec(t, `INSERT INTO community (id, name) VALUES ($1, 'c')`, sc.com)
	return sc
}

func (sc *schema) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := sc.db.Pool().Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// row is a channel that is only a row.
type row struct {
	t  *testing.T
	sc *schema
	id protocol.ChannelID
}

func (sc *schema) channel(t *testing.T) row {
	t.Helper()
	w := row{t, sc, protocol.ChannelID(protocol.NewID[tag]())}
	sc.exec(t, `INSERT INTO channel (id, name, community_id) VALUES ($1, $2, $3)`, w.id, w.id.String(), sc.com)
	return w
}

func text(s string) []protocol.SpanInput {
	return []protocol.SpanInput{{Type: protocol.SpanPlaintext, Text: &s}}
}

func (w row) request(s string) protocol.SendMessage {
	return protocol.SendMessage{ChannelID: &w.id, Spans: text(s), Attachments: []protocol.FileID{}, ID: protocol.MessageID(protocol.NewID[tag]())}
}

// watermark is how far Postgres knows that the user has read; 0: nothing.
func (w row) watermark(u protocol.UserID) int64 {
	w.t.Helper()
	var seq int64
	if err := w.sc.db.Pool().QueryRow(w.t.Context(), `SELECT coalesce(max(last_read_seq), 0) FROM read_receipt WHERE user_id = $1 AND channel_id = $2`,
		u, w.id).Scan(&seq); err != nil {
		w.t.Fatal(err)
	}
	return seq
}

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func decodePage(t *testing.T, text []byte) (p protocol.MessagePage) {
	t.Helper()
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// live is the kind on a real node: a community that knows one outsider, users
// that listen, and a relay that keeps what it is told.
type live struct {
	t        *testing.T
	sc       *schema
	node     *cluster.Node
	outsider protocol.UserID
	heard    chan *protocol.Fanout
	told     chan any
}

func newLive(t *testing.T) *live {
	t.Helper()
	l := &live{t: t, sc: newSchema(t), heard: make(chan *protocol.Fanout, 1000), told: make(chan any, 1000)}
	l.outsider = l.sc.users[3]
	env := &turn.Env{DB: l.sc.db, Writer: l.sc.writer, Log: slog.New(slog.DiscardHandler)}
	community := cluster.Kind{Name: string(protocol.KindCommunity), Props: l.actor(func(ctx actor.Context) {
		if m, ok := ctx.Message().(*protocol.AskAccess); ok {
			a := &protocol.Access{User: m.User, Version: 1, Settings: protocol.ChannelSettings{Community: l.sc.com}}
			if m.User != l.outsider {
				a.Actions = protocol.NewActionSet(protocol.ActionReadMessage, protocol.ActionCreateMessage, protocol.ActionCreateReaction)
			}
			cluster.Reply(ctx, a)
		}
	})}
	user := cluster.Kind{Name: string(protocol.KindUser), Props: l.actor(func(ctx actor.Context) {
		if m, ok := ctx.Message().(*protocol.LastRead); ok {
			l.told <- m
		}
	})}
	var err error
	l.node, err = cluster.Start(t.Context(), cluster.Config{
		Log:   env.Log,
		Kinds: []cluster.Kind{New(Config{}).Cluster(env), community, user},
		Prepare: func(n *cluster.Node) error {
			env.Node = n
			_, err := n.Spawn("relay", actor.PropsFromFunc(func(ctx actor.Context) {
				if m, ok := ctx.Message().(*protocol.Fanout); ok {
					l.heard <- m
				}
			}))
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := l.node.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (*live) actor(f actor.ReceiveFunc) func(string) *actor.Props {
	return func(string) *actor.Props { return actor.PropsFromFunc(f) }
}

func ask[Req, Rep any](l *live, channel protocol.ChannelID, _ *protocol.Op[Req, Rep], c protocol.Caller, req Req) (any, error) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	return l.node.Ask(ctx, string(protocol.KindChannel), channel.String(), &protocol.Command[Req]{Caller: c, Req: req})
}

// next is the next event that the relay hears.
func (l *live) next(name string) *protocol.Fanout {
	l.t.Helper()
	select {
	case f := <-l.heard:
		if f.Name != name {
			l.t.Fatalf("heard %s, want %s", f.Name, name)
		}
		return f
	case <-time.After(time.Minute):
		l.t.Fatalf("heard nothing, want %s", name)
		return nil
	}
}

func TestChannelOnANode(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	w := l.sc.channel(t)
	alice, owner := by(l.sc.users[0]), protocol.Caller{UserID: l.sc.users[1], Owner: true}
	req := w.request("hello")
	if _, err := ask(l, w.id, protocol.MessageSend, by(l.outsider), req); !errors.Is(err, protocol.ErrForbidden) {
		t.Errorf("outsider: %v", err)
	}
	nowhere := protocol.ChannelID(protocol.NewID[tag]())
	lost := req
	lost.ChannelID = &nowhere
	if _, err := ask(l, nowhere, protocol.MessageSend, alice, lost); !errors.Is(err, protocol.ErrForbidden) {
		t.Errorf("unknown channel: %v", err)
	}
	if _, err := ask(l, nowhere, protocol.MessageSend, owner, lost); !errors.Is(err, errNoChannel) {
		t.Errorf("unknown channel, owner: %v", err)
	}
	reply, err := ask(l, w.id, protocol.MessageSend, alice, req)
	if err != nil {
		t.Fatal(err)
	}
	m := reply.(*protocol.Message)
	if f := l.next("newMessage"); f.Seq != 1 || f.Epoch == 0 {
		t.Errorf("event %+v", f)
	}
	select {
	case got := <-l.told:
		if got.(*protocol.LastRead).Message != m.ID {
			t.Errorf("told %+v", got)
		}
	case <-time.After(time.Minute):
		t.Error("the user was not told")
	}
	// An ack means that it is stored.
	if stored, err := l.sc.db.Message(t.Context(), m.ID); err != nil || encode(stored) != encode(m) {
		t.Errorf("stored %+v: %v", stored, err)
	}
	if _, err := ask(l, w.id, protocol.ReactionAdd, alice, protocol.AddReaction{MessageID: m.ID, Emoji: "👍"}); err != nil {
		t.Fatal(err)
	}
	l.next("reactionAdded")
	if _, err := ask(l, w.id, protocol.MessageEdit, alice, protocol.EditMessage{ID: m.ID, Spans: new(text("edited"))}); err != nil {
		t.Fatal(err)
	}
	l.next("updateMessage")
	l.node.Tell(string(protocol.KindChannel), w.id.String(), &protocol.Typing{User: alice.UserID, Active: true})
	l.next("userTyping")
	reply, err = ask(l, w.id, protocol.MessageList, alice, protocol.ListMessages{Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	if p := decodePage(t, reply.(*protocol.PageGrant).Page); len(p.Messages) != 1 || *p.Messages[0].SearchText != "edited" || len(p.Messages[0].Reactions) != 1 {
		t.Errorf("page %+v", p)
	}
	if _, err := ask(l, w.id, protocol.MessageDelete, alice, protocol.DeleteMessage{ID: m.ID}); err != nil {
		t.Fatal(err)
	}
	l.next("deleteMessage")
	reply, err = ask(l, w.id, protocol.MessageGet, alice, protocol.GetMessage{ID: m.ID})
	if _, cold := reply.(*protocol.ColdMessage); err != nil || !cold {
		t.Errorf("get: %+v %v", reply, err)
	}
}

// A message that Postgres refuses is taken back from those who have seen it, and
// an activation that can't keep its seqs ends.
func TestRefusedByPostgresOnANode(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	w := l.sc.channel(t)
	alice := by(l.sc.users[0])
	if _, err := ask(l, w.id, protocol.MessageSend, alice, w.request("one")); err != nil {
		t.Fatal(err)
	}
	l.next("newMessage")
	l.sc.exec(t, `DELETE FROM channel WHERE id = $1`, w.id)
	if _, err := ask(l, w.id, protocol.MessageSend, alice, w.request("two")); !errors.Is(err, protocol.ErrInternal) {
		t.Errorf("send into a channel without a row: %v", err)
	}
	l.next("newMessage")
	l.next("deleteMessage")
	for {
		_, err := ask(l, w.id, protocol.MessageList, alice, protocol.ListMessages{Limit: 50})
		if errors.Is(err, protocol.ErrForbidden) {
			return // of the next activation, which knows that there is no channel
		}
		if t.Context().Err() != nil {
			t.Fatal("the activation does not end")
		}
	}
}

func TestEveryOperationOfChannelsHasAHandler(t *testing.T) {
	k := New(Config{})
	var without []string
	for _, op := range protocol.Operations() {
		if op.Home == protocol.KindChannel && !k.Handles(op) {
			without = append(without, op.Name)
		}
	}
	if !slices.Equal(without, nil) {
		t.Errorf("no handler for %v", without)
	}
}

func TestReceiptsAreWrittenByTheirTimerOnANode(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	w := l.sc.channel(t)
	alice := l.sc.users[0]
	if _, err := ask(l, w.id, protocol.MessageSend, by(alice), w.request("hello")); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); w.watermark(alice) != 1; {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the receipt is never written")
		}
	}
}
