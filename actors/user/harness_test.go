package user

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// row tags the ids that tests make.
type row struct{}

// world is a user with his real database, and the loop around him.
type world struct {
	t    *testing.T
	db   *persistence.DB
	s    *State
	now  protocol.Instant
	dead map[string]bool // nodes that left
	// scope plays the communities; nil answers that it is news.
	scope func(protocol.CommunityID) turn.Answer
}

// result is all that came of a request and of the timers that fired at once.
type result struct {
	reply  any
	err    error
	events []protocol.Event
	rooms  []protocol.Rooms
	closes []protocol.CloseSockets
	asks   []turn.Ask
	tells  []turn.Tell
	timers []turn.Timer // those that wait
	wide   bool         // an outcome went everywhere
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, db: pgtest.New(t), dead: map[string]bool{},
		now: protocol.InstantOf(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)),
	}
	w.activate(w.account("ada"))
	return w
}

func (w *world) activate(id protocol.UserID) {
	w.t.Helper()
	cfg := Config{}.withDefaults()
	var err error
	if w.s, err = load(w.t.Context(), &cfg, w.db, id, w.turn().Now); err != nil {
		w.t.Fatal(err)
	}
	w.s.nodes = func() []string {
		return slices.DeleteFunc([]string{"n1", "n2", "n3"}, func(n string) bool { return w.dead[n] })
	}
}

func (w *world) turn() turn.Turn {
	w.now++
	return turn.Turn{Now: w.now, Self: protocol.Origin{Kind: protocol.KindUser}, Node: "n1"}
}

// run does what the loop does with an Outcome, lets timers fire that wait for
// nothing, and checks that the state still is what a fresh activation loads.
func (w *world) run(out turn.Outcome, err error) result {
	w.t.Helper()
	var r result
	w.finish(&r, out, err)
	for i := 0; i < len(r.timers); i++ {
		if r.timers[i].After == 0 {
			msg := r.timers[i].Msg
			r.timers = slices.Delete(r.timers, i, i+1)
			i = -1
			var then result
			w.fire(&then, msg)
			r.events, r.asks, r.timers = append(r.events, then.events...), append(r.asks, then.asks...), append(r.timers, then.timers...)
			r.wide = r.wide || then.wide
		}
	}
	w.verify()
	return r
}

func (w *world) fire(r *result, msg any) {
	w.t.Helper()
	var out turn.Outcome
	var err error
	switch m := msg.(type) {
	case *announce:
		out, err = w.s.announcePresence(w.turn(), m)
	case *grace:
		out, err = w.s.graceOver(w.turn(), m)
	case *seen:
		out, err = w.s.noteSeen(w.turn(), m)
	case *sweep:
		out, err = w.s.sweepSockets(w.turn(), m)
	default:
		w.t.Fatalf("unknown timer %T", msg)
	}
	w.finish(r, out, err)
}

func (w *world) finish(r *result, out turn.Outcome, err error) {
	w.t.Helper()
	for {
		if err == nil && out.Commit != nil {
			var then turn.Then
			if then, err = out.Commit(w.t.Context()); err == nil {
				out, err = then(w.turn())
				continue
			}
		}
		if err != nil {
			r.err = err
			return
		}
		r.events = append(r.events, out.Events...)
		r.rooms, r.closes = append(r.rooms, out.Rooms...), append(r.closes, out.Closes...)
		r.tells = append(r.tells, out.Tells...)
		r.wide = r.wide || out.Everywhere
		if len(out.Asks) == 0 {
			r.timers, r.reply = append(r.timers, out.Timers...), out.Reply
			return
		}
		answers := make([]turn.Answer, len(out.Asks))
		for i, a := range out.Asks {
			r.asks = append(r.asks, a)
			answers[i] = turn.Answer{Reply: &protocol.PresenceScope{Changed: true}}
			if w.scope != nil {
				var id protocol.CommunityID
				if err := id.UnmarshalText([]byte(a.ID)); err != nil {
					w.t.Fatal(err)
				}
				answers[i] = w.scope(id)
			}
		}
		out, err = out.Then(w.turn(), answers)
	}
}

// verify compares what comes from Postgres with a fresh activation.
func (w *world) verify() {
	w.t.Helper()
	w.db.FlushSeen()
	fresh, err := load(w.t.Context(), w.s.cfg, w.db, w.s.user.ID, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.s.missing && fresh.missing { // the account was deleted: the rest serves nobody
		return
	}
	if !reflect.DeepEqual(w.s.user, fresh.user) || w.s.missing != fresh.missing {
		w.t.Errorf("user of the state %+v is not what is stored %+v", w.s.user, fresh.user)
	}
	if !slices.Equal(w.s.communities, fresh.communities) {
		w.t.Errorf("communities of the state %v are not what is stored %v", w.s.communities, fresh.communities)
	}
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Pool().Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) account(name string) protocol.UserID {
	w.t.Helper()
	id := protocol.UserID(protocol.NewID[row]())
	w.exec(`INSERT INTO app_user (id, username, display_name, password_hash) VALUES ($1, $2, $2, 'x')`, id, name)
	return id
}

// community makes one with the user in it.
func (w *world) community(name string) protocol.CommunityID {
	w.t.Helper()
	id := protocol.CommunityID(protocol.NewID[row]())
	w.exec(`INSERT INTO community (id, name) VALUES ($1, $2)`, id, name)
	w.exec(`INSERT INTO membership (id, user_id, community_id) VALUES ($1, $2, $3)`, protocol.NewID[row](), w.s.user.ID, id)
	return id
}

func (w *world) channel(c protocol.CommunityID, name string, private bool) protocol.ChannelID {
	w.t.Helper()
	id := protocol.ChannelID(protocol.NewID[row]())
	w.exec(`INSERT INTO channel (id, name, community_id, is_private) VALUES ($1, $2, $3, $4)`, id, name, c, private)
	return id
}

func (w *world) connect(node string) (protocol.ConnID, result) {
	w.t.Helper()
	conn := protocol.ConnID(protocol.NewID[row]())
	r := w.run(w.s.connect(w.turn(), &protocol.Connect{
		Conn: conn, Node: node, Session: protocol.SessionID(protocol.NewID[row]()), Token: protocol.AnyID(protocol.NewID[row]()),
	}))
	if r.err != nil {
		w.t.Fatal(r.err)
	}
	return conn, r
}

func (w *world) disconnect(c protocol.ConnID) result {
	w.t.Helper()
	return w.run(w.s.disconnect(w.turn(), &protocol.Disconnect{Conn: c}))
}

// wait fires the timer of this kind that a result left behind.
func wait[M any](w *world, r result) result {
	w.t.Helper()
	for _, timer := range r.timers {
		if m, ok := timer.Msg.(M); ok {
			w.now += instants(timer.After)
			var then result
			w.fire(&then, m)
			return w.run(turn.Outcome{
				Events: then.events, Timers: then.timers, Everywhere: then.wide, Closes: then.closes, Tells: then.tells,
			}, then.err)
		}
	}
	w.t.Fatalf("no timer %T among %+v", *new(M), r.timers)
	return result{}
}

func payload[P any](t *testing.T, e protocol.Event) P {
	t.Helper()
	var p P
	if err := json.Unmarshal(e.Payload, &p); err != nil {
		t.Fatal(err)
	}
	return p
}
