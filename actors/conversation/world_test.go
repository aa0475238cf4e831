package conversation

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// tag makes ids of any kind.
type tag struct{}

// fataler is what tests, benchmarks and rapid have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world runs the turns of a conversation one by one, against a real Postgres: what the
// loop of package turn does, without actors.
type world struct {
	t       fataler
	ctx     context.Context
	db      *persistence.DB
	writer  *persistence.Writer
	owner   persistence.Owner
	channel protocol.ChannelID // or
	group   protocol.GroupID
	house   *house
	s       *State
	now     protocol.Instant

	events []protocol.Event
	tells  []turn.Tell
	timers []turn.Timer
	grab   func(turn.Outcome) // sees every outcome that is performed; may be nil

	refuse  bool  // the next rows are not stored
	why     error // what is said then
	refused []func()
	stopped bool
}

// schema is one database and writer, with some users, for many worlds.
type schema struct {
	db     *persistence.DB
	writer *persistence.Writer
	users  []protocol.UserID
	com    protocol.CommunityID
}

func newSchema(t testing.TB) *schema {
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

func (sc *schema) exec(t fataler, sql string, args ...any) {
	t.Helper()
	if _, err := sc.db.Pool().Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// world makes a channel whose users are all members.
func (sc *schema) world(t fataler) *world {
	t.Helper()
	w := &world{
		why: context.Canceled,
		t:   t, ctx: context.Background(), db: sc.db, writer: sc.writer, now: 1_700_000_000_000,
		channel: protocol.ChannelID(protocol.NewID[tag]()), house: newHouse(),
	}
	sc.exec(t, `INSERT INTO channel (id, name, community_id) VALUES ($1, $2, $3)`, w.channel, w.channel.String(), sc.com)
	w.load()
	for _, u := range sc.users {
		w.allow(u, protocol.ActionReadMessage, protocol.ActionCreateMessage, protocol.ActionCreateReaction, protocol.ActionDeleteReaction)
	}
	return w
}

// groupWorld makes a direct message group of all users.
func (sc *schema) groupWorld(t fataler) *world {
	t.Helper()
	w := &world{
		why: context.Canceled,
		t:   t, ctx: context.Background(), db: sc.db, writer: sc.writer, now: 1_700_000_000_000,
		group: protocol.GroupID(protocol.NewID[tag]()), house: newHouse(),
	}
	sc.exec(t, `INSERT INTO direct_message_group (id, is_group) VALUES ($1, true)`, w.group)
	w.load()
	for _, u := range sc.users {
		w.allow(u, protocol.ActionReadMessage, protocol.ActionCreateMessage, protocol.ActionCreateReaction, protocol.ActionDeleteReaction)
	}
	return w
}

// in is where the conversation is.
func (w *world) in() protocol.Place { return protocol.Place{Channel: w.channel, Group: w.group} }

func (w *world) origin() protocol.Origin {
	return protocol.Origin{Kind: w.in().Kind(), ID: w.in().ID().String()}
}

// load is a new activation.
func (w *world) load() {
	w.t.Helper()
	if w.s != nil {
		w.settle()
	}
	w.s, w.owner = w.fresh()
	w.stopped, w.timers = false, nil
}

func (w *world) fresh() (*State, persistence.Owner) {
	w.t.Helper()
	self := w.origin()
	epoch, err := w.db.TakeLease(w.ctx, string(self.Kind), self.ID, "n")
	if err != nil {
		w.t.Fatalf("lease: %v", err)
	}
	owner := persistence.Owner{Kind: string(self.Kind), ID: self.ID, Epoch: epoch}
	env := &turn.Env{DB: w.db, Writer: w.writer, Log: slog.New(slog.DiscardHandler)}
	var l *persistence.Log
	if self.Kind == protocol.KindDM {
		_, l, err = w.db.GroupLog(w.ctx, w.group, Scope(w.now))
	} else {
		var settings protocol.ChannelSettings
		settings, l, err = w.db.ChannelLog(w.ctx, w.channel, Scope(w.now))
		w.house.community, w.house.slowmode = settings.Community, settings.Slowmode
	}
	if err != nil {
		w.t.Fatalf("load: %v", err)
	}
	return New(env, turn.Turn{Now: w.now, Self: self, Owner: owner}, w.in(), w.house, l), owner
}

func (w *world) allow(u protocol.UserID, actions ...protocol.Action) {
	w.house.may[u] = protocol.NewActionSet(actions...)
}

func (w *world) turn(c protocol.Caller) turn.Turn {
	return turn.Turn{Now: w.now, Caller: c, Owner: w.owner, Self: w.origin()}
}

func by(u protocol.UserID) protocol.Caller { return protocol.Caller{UserID: u} }

// do is a turn, with all that follows from it.
func do[Req any](w *world, h func(*State, turn.Turn, Req) (turn.Outcome, error), c protocol.Caller, req Req) (any, error) {
	w.t.Helper()
	out, err := there(h)(w.s, w.turn(c), req)
	return w.finish(out, err)
}

func (w *world) finish(out turn.Outcome, err error) (any, error) {
	w.t.Helper()
	if err != nil {
		return nil, err
	}
	if out.Commit != nil {
		then, err := out.Commit(w.ctx)
		if err != nil {
			return nil, err
		}
		return w.finish(then(w.turn(protocol.Caller{})))
	}
	if w.grab != nil {
		w.grab(out)
	}
	w.events = append(w.events, out.Events...)
	w.tells = append(w.tells, out.Tells...)
	w.timers = append(w.timers, out.Timers...)
	w.stopped = w.stopped || out.Stop
	if len(out.Rows) > 0 && w.refuse {
		w.refuse = false
		w.refused = append(w.refused, func() { _, _ = w.finish(out.Refused(w.turn(protocol.Caller{}), w.why), nil) })
		return nil, protocol.ErrInternal
	}
	if len(out.Rows) > 0 {
		done := func(err error) {
			if err != nil {
				panic(err)
			}
		}
		if err := w.writer.Enqueue(persistence.Write{Owner: w.owner, Rows: out.Rows, Done: done}); err != nil {
			w.t.Fatalf("enqueue: %v", err)
		}
	}
	return out.Reply, nil
}

// settle tells the channel of refusals and waits until all is stored.
func (w *world) settle() {
	w.t.Helper()
	w.refuse = false
	for len(w.refused) > 0 {
		next := w.refused[0]
		w.refused = w.refused[1:]
		next()
	}
	if err := w.writer.Flush(w.ctx, w.owner); err != nil {
		w.t.Fatalf("flush: %v", err)
	}
}

// tick lets the timer come, if one runs.
func (w *world) tick() {
	w.t.Helper()
	if len(w.timers) > 1 {
		w.t.Fatalf("%d timers run", len(w.timers))
	}
	for _, timer := range w.timers {
		w.timers = nil
		_, _ = w.finish(w.s.flushReceipts(w.turn(protocol.Caller{}), timer.Msg.(*flushReceipts)))
	}
}

// watermark is how far Postgres knows that the user has read; 0: nothing.
func (w *world) watermark(u protocol.UserID) int64 {
	w.t.Helper()
	var seq int64
	if err := w.db.Pool().QueryRow(w.ctx, `SELECT coalesce(max(last_read_seq), 0) FROM read_receipt WHERE user_id = $1 AND coalesce(channel_id, direct_message_group_id) = $2`,
		u, w.in().ID()).Scan(&seq); err != nil {
		w.t.Fatalf("watermark: %v", err)
	}
	return seq
}

func text(s string) []protocol.SpanInput {
	return []protocol.SpanInput{{Type: protocol.SpanPlaintext, Text: &s}}
}

func (w *world) request(s string) protocol.SendMessage {
	return protocol.SendMessage{ChannelID: w.channel.Ptr(), DirectMessageGroupID: w.group.Ptr(), Spans: text(s), Attachments: []protocol.FileID{}, ID: protocol.MessageID(protocol.NewID[tag]())}
}

func (w *world) send(u protocol.UserID, s string) *protocol.Message {
	w.t.Helper()
	w.now++
	reply, err := do(w, (*State).sendMessage, by(u), w.request(s))
	if err != nil {
		w.t.Fatalf("send: %v", err)
	}
	return reply.(*protocol.Message)
}

func (w *world) replying(to protocol.MessageID, s string) protocol.SendThreadReply {
	return protocol.SendThreadReply{ParentMessageID: to, Spans: text(s), ID: protocol.MessageID(protocol.NewID[tag]())}
}

func (w *world) reply(u protocol.UserID, to protocol.MessageID, s string) *protocol.Message {
	w.t.Helper()
	w.now++
	reply, err := do(w, (*State).sendReply, by(u), w.replying(to, s))
	if err != nil {
		w.t.Fatalf("reply: %v", err)
	}
	return reply.(*protocol.Message)
}

// with is how many rows a message has with its replies.
func (w *world) with(id protocol.MessageID) (n int) {
	w.t.Helper()
	if err := w.db.Pool().QueryRow(w.ctx, `SELECT count(*) FROM message WHERE id = $1 OR parent_message_id = $1`, id).Scan(&n); err != nil {
		w.t.Fatalf("count: %v", err)
	}
	return n
}

// checkThreads holds the counts of all parents against their replies.
func (w *world) checkThreads(t fataler) {
	t.Helper()
	var wrong int
	if err := w.db.Pool().QueryRow(w.ctx, `SELECT count(*) FROM message p WHERE coalesce(channel_id, direct_message_group_id) = $1
		AND reply_count <> (SELECT count(*) FROM message r WHERE r.parent_message_id = p.id AND r.deleted_at IS NULL)`, w.in().ID()).Scan(&wrong); err != nil {
		t.Fatalf("count: %v", err)
	}
	if wrong != 0 {
		t.Fatalf("%d messages count their replies wrong", wrong)
	}
}

// list reads a page as the edge does: from the grant, or from Postgres.
func (w *world) list(req protocol.ListMessages) protocol.MessagePage {
	w.t.Helper()
	reply, err := do(w, (*State).listMessages, protocol.Caller{Owner: true}, req)
	if err != nil {
		w.t.Fatalf("list: %v", err)
	}
	g := reply.(*protocol.PageGrant)
	text := g.Page
	if text == nil {
		w.settle()
		text = w.cold(*g)
	}
	return decodePage(w.t, text)
}

func (w *world) cold(g protocol.PageGrant) json.RawMessage {
	w.t.Helper()
	page, err := w.db.MessagePage(w.ctx, w.in(), g)
	if err != nil {
		w.t.Fatalf("page: %v", err)
	}
	return page.Text
}

func decodePage(t fataler, text []byte) protocol.MessagePage {
	t.Helper()
	var p protocol.MessagePage
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatalf("page %s: %v", text, err)
	}
	return p
}

func ids(list []protocol.Message) []protocol.MessageID {
	out := []protocol.MessageID{}
	for _, m := range list {
		out = append(out, m.ID)
	}
	return out
}

func names(events []protocol.Event) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, e.Name)
	}
	return out
}

// seqs are the seqs of all rows of the conversation, in order.
func (w *world) seqs() []int64 {
	w.t.Helper()
	rows, err := w.db.Pool().Query(w.ctx, `SELECT seq FROM message WHERE coalesce(channel_id, direct_message_group_id) = $1 ORDER BY seq`, w.in().ID())
	if err != nil {
		w.t.Fatalf("seqs: %v", err)
	}
	defer rows.Close()
	var list []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			w.t.Fatalf("seqs: %v", err)
		}
		list = append(list, n)
	}
	return list
}

// client is what a connected client makes of the events.
type client struct {
	list  []protocol.Message // newest first
	stale bool
}

func (c *client) hear(t fataler, e protocol.Event) {
	t.Helper()
	var p struct {
		Message   protocol.Message
		MessageID protocol.MessageID
		Parent    *protocol.MessageID `json:"parentMessageId"`
		Replies   int                 `json:"replyCount"`
		LastReply *protocol.Instant   `json:"lastReplyAt"`
		Reaction  protocol.Reaction
		Reactions []protocol.Reaction
		PinnedBy  *protocol.UserID
		PinnedAt  *protocol.Instant
	}
	if err := json.Unmarshal(e.Payload, &p); err != nil {
		t.Fatalf("%s %s: %v", e.Name, e.Payload, err)
	}
	if e.Name == "newThreadReply" || e.Name == "updateThreadReply" || e.Name == "deleteThreadReply" {
		return // the list shows no replies
	}
	id := p.MessageID
	if e.Name == "threadReplyCountUpdated" {
		id = *p.Parent
	}
	if id.IsZero() {
		id = p.Message.ID
	}
	i := slices.IndexFunc(c.list, func(m protocol.Message) bool { return m.ID == id })
	if (e.Name == "newMessage" || e.Name == "newDirectMessage") && i < 0 {
		c.list = slices.Insert(c.list, 0, p.Message)
		return
	}
	if i < 0 {
		c.stale = c.stale || e.Name == "updateMessage" && p.Message.ParentMessageID == nil // it had removed what is still there
		return
	}
	m := &c.list[i]
	switch e.Name {
	case "updateMessage":
		*m = p.Message
	case "threadReplyCountUpdated":
		m.ReplyCount, m.LastReplyAt = p.Replies, p.LastReply
	case "deleteMessage":
		c.list = slices.Delete(c.list, i, i+1)
	case "reactionAdded":
		at := slices.IndexFunc(m.Reactions, func(r protocol.Reaction) bool { return r.Emoji == p.Reaction.Emoji })
		if at < 0 {
			m.Reactions = append(m.Reactions, p.Reaction)
		} else {
			m.Reactions[at] = p.Reaction
		}
	case "messagePinned", "messageUnpinned":
		m.Pinned, m.PinnedBy, m.PinnedAt = p.PinnedAt != nil, p.PinnedBy, p.PinnedAt
	case "reactionRemoved":
		m.Reactions = p.Reactions
	}
}
