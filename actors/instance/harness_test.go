package instance

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// world is an instance with its real database, and the loop around it.
type world struct {
	t     *testing.T
	db    *persistence.DB
	s     *State
	owner persistence.Owner
	now   protocol.Instant
}

// result is all that came of a request.
type result struct {
	reply    any
	err      error
	asks     []turn.Ask
	tells    []turn.Tell
	timers   []turn.Timer
	accounts []protocol.UserID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, db: pgtest.New(t), now: protocol.InstantOf(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))}
	w.activate()
	return w
}

func (w *world) activate() {
	w.t.Helper()
	w.owner = persistence.Owner{Kind: "instance", ID: protocol.InstanceKey}
	var err error
	if w.owner.Epoch, err = w.db.TakeLease(w.t.Context(), w.owner.Kind, w.owner.ID, "n1"); err != nil {
		w.t.Fatal(err)
	}
	if w.s, err = load(w.t.Context(), w.db, w.turn(protocol.Caller{})); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) turn(by protocol.Caller) turn.Turn {
	w.now++
	return turn.Turn{
		Now: w.now, Caller: by, Owner: w.owner, Node: "n1",
		Self: protocol.Origin{Kind: protocol.KindInstance, ID: protocol.InstanceKey},
	}
}

// run does what the loop does with an Outcome, and checks that the state is
// what a fresh activation would load.
func (w *world) run(out turn.Outcome, err error) result {
	w.t.Helper()
	r := finish(w.t.Context(), out, err)
	fresh, err := load(w.t.Context(), w.db, w.turn(protocol.Caller{}))
	if err != nil {
		w.t.Fatal(err)
	}
	if !reflect.DeepEqual(w.s.rows, fresh.rows) {
		w.t.Errorf("the state\n%+v\nis not what is stored\n%+v", w.s.rows, fresh.rows)
	}
	return r
}

func finish(ctx context.Context, out turn.Outcome, err error) result {
	var r result
	for {
		if err == nil && out.Commit != nil {
			var then turn.Then
			if then, err = out.Commit(ctx); err == nil {
				out, err = then(turn.Turn{})
				continue
			}
		}
		if err != nil {
			r.err = err
			return r
		}
		r.asks, r.tells, r.accounts = append(r.asks, out.Asks...), append(r.tells, out.Tells...), append(r.accounts, out.Accounts...)
		if len(out.Asks) == 0 {
			r.reply, r.timers = out.Reply, out.Timers
			return r
		}
		answers := make([]turn.Answer, len(out.Asks))
		out, err = out.Then(turn.Turn{}, answers)
	}
}

// race commits all outcomes at once, as activations of different nodes could
// if nothing held them back, and returns the results.
func race(t *testing.T, outs []turn.Outcome) []result {
	t.Helper()
	results := make([]result, len(outs))
	var wg sync.WaitGroup
	for i, out := range outs {
		wg.Go(func() {
			_, err := out.Commit(t.Context())
			results[i].err = err
		})
	}
	wg.Wait()
	return results
}

// tally counts results by their error text; success is "".
func tally(results []result) map[string]int {
	m := map[string]int{}
	for _, r := range results {
		var e *protocol.Error
		switch {
		case r.err == nil:
			m[""]++
		case errors.As(r.err, &e):
			m[e.Message]++
		default:
			m[r.err.Error()]++
		}
	}
	return m
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Pool().Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) count(sql string, args ...any) int {
	w.t.Helper()
	var n int
	if err := w.db.Pool().QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) setUp(req protocol.SetupInstance) result {
	w.t.Helper()
	status := w.run(w.s.onboardingStatus(w.turn(protocol.Caller{}), protocol.GetOnboarding{}))
	req.SetupToken = status.reply.(*protocol.OnboardingStatus).SetupToken
	req.Hash = "$argon2id$x"
	return w.run(w.s.setUp(w.turn(protocol.Caller{}), req))
}

// ready is an instance that was set up, with its owner and first community.
func ready(t *testing.T) (*world, protocol.Caller, protocol.CommunityID) {
	t.Helper()
	w := newWorld(t)
	r := w.setUp(protocol.SetupInstance{AdminUsername: "ada", InstanceName: "Rookery"})
	if r.err != nil {
		t.Fatal(r.err)
	}
	done := r.reply.(*protocol.SetupDone)
	return w, protocol.Caller{UserID: done.AdminUserID, Owner: true}, *done.DefaultCommunityID
}

func (w *world) invite(by protocol.Caller, req protocol.CreateInvite) protocol.Invite {
	w.t.Helper()
	r := w.run(w.s.createInvite(w.turn(by), req))
	if r.err != nil {
		w.t.Fatal(r.err)
	}
	return *r.reply.(*protocol.Invite)
}

func registration(name, code string) protocol.RegisterUser {
	return protocol.RegisterUser{
		ID: protocol.UserID(protocol.NewID[row]()), Username: name, Hash: "$argon2id$x", Code: code,
	}
}

func (w *world) register(req protocol.RegisterUser) result {
	w.t.Helper()
	return w.run(w.s.registerUser(w.turn(protocol.Caller{}), req))
}

func (w *world) user(name, code string) protocol.PublicUser {
	w.t.Helper()
	r := w.register(registration(name, code))
	if r.err != nil {
		w.t.Fatal(r.err)
	}
	return *r.reply.(*protocol.PublicUser)
}

func wantError(t *testing.T, err error, want *protocol.Error) {
	t.Helper()
	var got *protocol.Error
	if !errors.As(err, &got) || got.Code != want.Code || got.Message != want.Message {
		t.Errorf("error = %v, want %v", err, want)
	}
}
