package community

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// world is a community with its real database, and the loop around it.
type world struct {
	t     *testing.T
	db    *persistence.DB
	s     *State
	owner persistence.Owner
	now   protocol.Instant
	// answer plays the other actors; nil answers *protocol.Done.
	answer func(turn.Ask) turn.Answer
}

// result is all that came of a request.
type result struct {
	reply   any
	err     error
	events  []protocol.Event
	rooms   []protocol.Rooms
	emptied []protocol.Empty
	asks    []turn.Ask
	tells   []turn.Tell
	timers  []turn.Timer
	trace   []string // order of what others saw
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db := pgtest.New(t)
	w := &world{t: t, db: db, now: protocol.InstantOf(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))}
	w.activate(protocol.CommunityID(protocol.NewID[row]()))
	return w
}

// activate loads a new activation.
func (w *world) activate(id protocol.CommunityID) {
	w.t.Helper()
	w.owner = persistence.Owner{Kind: "community", ID: id.String()}
	var err error
	if w.owner.Epoch, err = w.db.TakeLease(w.t.Context(), "community", id.String(), "n1"); err != nil {
		w.t.Fatal(err)
	}
	w.s, err = load(w.t.Context(), Config{}.withDefaults(), w.db, id, w.turn(protocol.Caller{}))
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) turn(by protocol.Caller) turn.Turn {
	w.now++
	return turn.Turn{
		Now: w.now, Caller: by, Owner: w.owner, Node: "n1",
		Self: protocol.Origin{Kind: protocol.KindCommunity, ID: w.owner.ID},
	}
}

// finish does what the loop does with an Outcome.
func (w *world) finish(out turn.Outcome, err error) result {
	w.t.Helper()
	var r result
	for {
		if err != nil {
			r.err = err
			return r
		}
		if out.Commit != nil {
			then, cerr := out.Commit(w.t.Context())
			if cerr != nil {
				r.err = cerr
				return r
			}
			out, err = then(w.turn(protocol.Caller{}))
			continue
		}
		for _, e := range out.Events {
			r.trace = append(r.trace, e.Name)
		}
		r.events = append(r.events, out.Events...)
		r.rooms = append(r.rooms, out.Rooms...)
		r.emptied = append(r.emptied, out.Empties...)
		for range out.Empties {
			r.trace = append(r.trace, "Empty")
		}
		r.tells = append(r.tells, out.Tells...)
		if len(out.Asks) == 0 {
			r.timers = append(r.timers, out.Timers...)
			r.reply = out.Reply
			return r
		}
		answers := make([]turn.Answer, len(out.Asks))
		for i, a := range out.Asks {
			r.asks = append(r.asks, a)
			r.trace = append(r.trace, reflect.TypeOf(a.Msg).Elem().Name())
			answers[i] = turn.Answer{Reply: &protocol.Done{}}
			if w.answer != nil {
				answers[i] = w.answer(a)
			}
		}
		out, err = out.Then(w.turn(protocol.Caller{}), answers)
	}
}

// run is finish, followed by the check that every test makes: what the state
// has become is what a fresh activation would load.
func (w *world) run(out turn.Outcome, err error) result {
	w.t.Helper()
	r := w.finish(out, err)
	w.verify()
	return r
}

// snapshot is what of a state comes from Postgres.
type snapshot struct {
	Missing  bool
	Row      protocol.Community
	Channels []protocol.Channel
	Roles    []protocol.Role
	Members  map[protocol.UserID][]protocol.RoleID
	Actions  map[protocol.UserID]protocol.ActionSet
	Private  map[protocol.ChannelID][]string
	Bans     map[protocol.UserID]protocol.Instant
	Timeouts map[protocol.UserID]protocol.Instant
}

func (s *State) snapshot() snapshot {
	v := snapshot{
		Missing: s.missing, Row: s.row, Channels: slices.Clone(s.channels), Roles: slices.Clone(s.roles),
		Members: map[protocol.UserID][]protocol.RoleID{}, Actions: map[protocol.UserID]protocol.ActionSet{},
		Private: map[protocol.ChannelID][]string{}, Bans: s.bans, Timeouts: s.timeouts,
	}
	for u := range s.roster.members {
		v.Members[u], v.Actions[u] = append([]protocol.RoleID{}, s.roster.rolesOf(u)...), s.roster.actions(u)
	}
	for c, users := range s.private {
		for u := range maps.Keys(users) {
			v.Private[c] = append(v.Private[c], u.String())
		}
		slices.Sort(v.Private[c])
	}
	return v
}

func (w *world) verify() {
	w.t.Helper()
	fresh, err := load(w.t.Context(), w.s.cfg, w.db, w.s.id, w.turn(protocol.Caller{}))
	if err != nil {
		w.t.Fatal(err)
	}
	w.s.forgetExpired(w.now) // a fresh load does not read what is over
	have, want := w.s.snapshot(), fresh.snapshot()
	hv, wv := reflect.ValueOf(have), reflect.ValueOf(want)
	for i := range hv.NumField() {
		h, f := hv.Field(i).Interface(), wv.Field(i).Interface()
		if hv.Field(i).Kind() == reflect.Slice && hv.Field(i).Len() == 0 && wv.Field(i).Len() == 0 {
			continue
		}
		if !reflect.DeepEqual(h, f) {
			w.t.Errorf("%s of the state\n%v\nis not what is stored\n%v", hv.Type().Field(i).Name, h, f)
		}
	}
}

// exec changes rows behind the actor's back.
func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Pool().Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

// user makes an account.
func (w *world) user(name string) protocol.Caller {
	w.t.Helper()
	id := protocol.UserID(protocol.NewID[row]())
	w.exec(`INSERT INTO app_user (id, username, display_name, password_hash) VALUES ($1, $2, $2, 'x')`, id, name)
	return protocol.Caller{UserID: id}
}

// founded is a world in which a community was founded.
func founded(t *testing.T) (*world, protocol.Caller) {
	t.Helper()
	w := newWorld(t)
	admin := w.user("ada")
	r := w.run(w.s.createCommunity(w.turn(admin), protocol.CreateCommunity{Name: "Nest"}))
	if r.err != nil {
		t.Fatal(r.err)
	}
	return w, admin
}

func (w *world) add(by, who protocol.Caller) result {
	w.t.Helper()
	return w.run(w.s.addMember(w.turn(by), protocol.AddMember{UserID: who.UserID, CommunityID: w.s.id}))
}

func (w *world) member(by protocol.Caller, name string) protocol.Caller {
	w.t.Helper()
	who := w.user(name)
	if r := w.add(by, who); r.err != nil {
		w.t.Fatal(r.err)
	}
	return who
}

func (w *world) channel(by protocol.Caller, name, kind string, private bool) protocol.Channel {
	w.t.Helper()
	r := w.run(w.s.createChannel(w.turn(by), protocol.CreateChannel{
		ID: protocol.ChannelID(protocol.NewID[row]()), Name: name, CommunityID: w.s.id, Type: kind, IsPrivate: private,
	}))
	if r.err != nil {
		w.t.Fatal(r.err)
	}
	return *r.reply.(*protocol.Channel)
}

func wantError(t *testing.T, err error, want *protocol.Error) {
	t.Helper()
	var got *protocol.Error
	if !errors.As(err, &got) || got.Code != want.Code || got.Message != want.Message {
		t.Errorf("error = %v, want %v", err, want)
	}
}
