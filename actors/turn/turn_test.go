package turn_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// book is the state of the kind that the tests use: it lists what was written
// into it.
type book struct {
	lines   []string
	readers map[protocol.UserID]bool
}

// Messages of the test kind.
type (
	write  struct{ Text string } // hot: one row
	shelve struct{ Text string } // structural
	list   struct{}              // reply *listed
	listed struct{ Lines []string }
	who    struct{ User protocol.UserID }
	known  struct{ Yes bool }
)

type line struct{ book, text string }

var insertLine = &persistence.Statement{
	Name: "insert line",
	SQL:  `INSERT INTO line (book, text) SELECT * FROM unnest($1::text[], $2::text[])`,
	Args: func(rows []persistence.Row) []any {
		return []any{
			persistence.Column(rows, func(l line) string { return l.book }),
			persistence.Column(rows, func(l line) string { return l.text }),
		}
	},
}

func (line) Statement() *persistence.Statement { return insertLine }
func (l line) Size() int                       { return len(l.book) + len(l.text) }

// world is a node with the test kind, a directory that knows readers, and a
// relay that keeps what it is told.
type world struct {
	t    *testing.T
	node *cluster.Node
	db   *persistence.DB

	mu     sync.Mutex
	relay  []any
	told   chan struct{}
	gates  int
	commit func() // runs inside the first half of structural turns
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, db: pgtest.New(t), told: make(chan struct{}, 1000)}
	if _, err := w.db.Pool().Exec(t.Context(), `CREATE TABLE line (n bigserial, book text, text text CHECK (text <> 'poison'))`); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	writer := persistence.NewWriter(w.db, persistence.WriterConfig{})
	env := &turn.Env{DB: w.db, Writer: writer, Log: log}
	var err error
	w.node, err = cluster.Start(t.Context(), cluster.Config{
		Log:   log,
		Kinds: []cluster.Kind{w.books().Cluster(env), directory()},
		Prepare: func(n *cluster.Node) error {
			env.Node = n
			if _, err := n.Spawn("relay", actor.PropsFromFunc(w.hear)); err != nil {
				return err
			}
			_, err := n.Spawn("gate", actor.PropsFromFunc(w.gate))
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.node.Stop(ctx); err != nil {
			t.Error(err)
		}
		if err := writer.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) books() *turn.Kind[book] {
	k := &turn.Kind[book]{
		Name:   protocol.KindChannel,
		Leased: true,
		Load: func(ctx context.Context, env *turn.Env, t turn.Turn) (*book, error) {
			if t.Self.ID == "unreadable" {
				return nil, errors.New("no")
			}
			rows, err := env.DB.Pool().Query(ctx, `SELECT text FROM line WHERE book = $1 ORDER BY n`, t.Self.ID)
			if err != nil {
				return nil, err
			}
			defer rows.Close()
			b := &book{readers: map[protocol.UserID]bool{}}
			for rows.Next() {
				var text string
				if err := rows.Scan(&text); err != nil {
					return nil, err
				}
				b.lines = append(b.lines, text)
			}
			return b, rows.Err()
		},
		Judge: func(b *book, t turn.Turn, _ *protocol.Operation) turn.Verdict {
			yes, ok := b.readers[t.Caller.UserID]
			if ok {
				return turn.Verdict{Allowed: yes}
			}
			return turn.Verdict{
				Ask: &turn.Ask{Kind: protocol.KindCommunity, ID: "directory", Msg: &who{t.Caller.UserID}},
				Key: t.Caller.UserID,
				Learn: func(_ turn.Turn, a turn.Answer) {
					b.readers[t.Caller.UserID] = a.Reply.(*known).Yes
				},
			}
		},
	}
	turn.OnMessage(k, func(b *book, t turn.Turn, m *write) (turn.Outcome, error) {
		b.lines = append(b.lines, m.Text)
		n := len(b.lines)
		return turn.Outcome{
			Reply:  &listed{b.lines[n-1:]},
			Rows:   []persistence.Row{line{t.Self.ID, m.Text}},
			Events: []protocol.Event{{Name: m.Text, Topics: []protocol.Topic{{Room: protocol.RoomChannel}}, Payload: json.RawMessage(`{}`)}},
			Refused: func(turn.Turn, error) turn.Outcome {
				b.lines = append(b.lines[:n-1], b.lines[n:]...)
				return turn.Outcome{Events: []protocol.Event{{Name: "not " + m.Text, Topics: []protocol.Topic{{Room: protocol.RoomChannel}}}}}
			},
		}, nil
	}, turn.Writes)
	turn.OnMessage(k, func(b *book, t turn.Turn, m *shelve) (turn.Outcome, error) {
		before := len(b.lines)
		return turn.Outcome{Commit: func(context.Context) (turn.Then, error) {
			w.commit()
			if m.Text == "fail" {
				return nil, protocol.Conflict("no")
			}
			return func(turn.Turn) (turn.Outcome, error) {
				b.lines = append(b.lines, fmt.Sprintf("%s after %d", m.Text, before))
				return turn.Outcome{Accounts: []protocol.UserID{{1}}}, nil
			}, nil
		}}, nil
	}, turn.Structural)
	turn.OnMessage(k, func(b *book, _ turn.Turn, _ *list) (turn.Outcome, error) {
		return turn.Outcome{Reply: &listed{append([]string(nil), b.lines...)}}, nil
	})
	turn.On(k, protocol.MessageGet, func(_ *book, _ turn.Turn, req protocol.GetMessage) (turn.Outcome, error) {
		return turn.Outcome{Reply: &protocol.Message{ID: req.ID}}, nil
	})
	return k
}

// directory is the actor that books ask about readers: user 1 is one.
func directory() cluster.Kind {
	return cluster.Kind{Name: string(protocol.KindCommunity), Props: func(string) *actor.Props {
		return actor.PropsFromFunc(func(ctx actor.Context) {
			if m, ok := ctx.Message().(*who); ok {
				cluster.Reply(ctx, &known{m.User[0] == 1})
			}
		})
	}}
}

func (w *world) hear(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *protocol.Fanout, *protocol.Rooms:
		w.mu.Lock()
		w.relay = append(w.relay, m)
		w.mu.Unlock()
		w.told <- struct{}{}
	}
}

func (w *world) gate(ctx actor.Context) {
	if _, ok := ctx.Message().(*protocol.AccountChanged); ok {
		w.mu.Lock()
		w.gates++
		w.mu.Unlock()
		cluster.Reply(ctx, &protocol.Done{})
	}
}

func (w *world) ask(id string, msg any) (any, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	return w.node.Ask(ctx, string(protocol.KindChannel), id, msg)
}

func (w *world) lines(id string) []string {
	w.t.Helper()
	r, err := w.ask(id, &list{})
	if err != nil {
		w.t.Fatal(err)
	}
	return r.(*listed).Lines
}

func (w *world) stored(id string) (n int) {
	w.t.Helper()
	if err := w.db.Pool().QueryRow(w.t.Context(), `SELECT count(*) FROM line WHERE book = $1`, id).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// heard waits for n events and returns their names.
func (w *world) heard(n int) []string {
	w.t.Helper()
	for range n {
		select {
		case <-w.told:
		case <-time.After(time.Minute):
			w.t.Fatal("the relay hears nothing")
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, m := range w.relay {
		if f, ok := m.(*protocol.Fanout); ok {
			names = append(names, f.Name)
		}
	}
	return names
}

func TestHotTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reply, err := w.ask("a", &write{"one"})
	if err != nil || reply.(*listed).Lines[0] != "one" {
		t.Fatalf("%v %v", reply, err)
	}
	if n := w.stored("a"); n != 1 {
		t.Errorf("replied with %d rows stored", n)
	}
	if names := w.heard(1); names[0] != "one" {
		t.Errorf("heard %v", names)
	}
}

func TestRefusedRowIsTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.ask("a", &write{"good"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ask("a", &write{"poison"}); err == nil {
		t.Fatal("a row that the database refuses is acked")
	}
	w.heard(3)
	if got := w.lines("a"); len(got) != 1 {
		t.Errorf("the state still has %v", got)
	}
}

func TestStructuralTurnsWaitForEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entered, goOn := make(chan struct{}, 10), make(chan struct{})
	w.commit = func() { entered <- struct{}{}; <-goOn }
	results := make(chan error, 3)
	for _, text := range []string{"x", "fail", "y"} {
		started := make(chan struct{})
		go func() {
			close(started)
			_, err := w.ask("a", &shelve{text})
			results <- err
		}()
		<-started
	}
	<-entered
	if _, err := w.ask("a", &write{"hot"}); err != nil { // passes while the first commits
		t.Fatal(err)
	}
	select {
	case <-entered:
		t.Fatal("two structural turns at once")
	default:
	}
	close(goOn)
	failures := 0
	for range 3 {
		if err := <-results; err != nil {
			failures++
		}
	}
	if got := w.lines("a"); failures != 1 || len(got) != 3 || got[0] != "hot" {
		t.Errorf("%d failures, state %v", failures, got)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gates != 2 {
		t.Errorf("gates were told %d times before the replies", w.gates)
	}
}

func TestPermission(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	get := func(user protocol.UserID, invalid *protocol.Error) error {
		_, err := w.ask("a", &protocol.Command[protocol.GetMessage]{Caller: protocol.Caller{UserID: user}, Invalid: invalid})
		return err
	}
	if err := get(protocol.UserID{1}, nil); err != nil {
		t.Errorf("reader: %v", err)
	}
	if err := get(protocol.UserID{2}, nil); !errors.Is(err, protocol.ErrForbidden) {
		t.Errorf("stranger: %v", err)
	}
	if err := get(protocol.UserID{}, nil); !errors.Is(err, protocol.ErrForbidden) {
		t.Errorf("nobody: %v", err)
	}
	bad := protocol.BadRequest("bad")
	if err := get(protocol.UserID{2}, bad); !errors.Is(err, protocol.ErrForbidden) {
		t.Errorf("an invalid request of a stranger: %v", err)
	}
	if err := get(protocol.UserID{1}, bad); !errors.Is(err, bad) {
		t.Errorf("an invalid request of a reader: %v", err)
	}
}

func TestLoadFailureIsRetryable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.ask("unreadable", &list{}); !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestStaleActivationStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.ask("a", &write{"one"}); err != nil {
		t.Fatal(err)
	}
	// Somebody else takes the lease and writes, as after a partition.
	if _, err := w.db.TakeLease(t.Context(), "channel", "a", "other"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Pool().Exec(t.Context(), `INSERT INTO line (book, text) VALUES ('a', 'two')`); err != nil {
		t.Fatal(err)
	}
	// The refused write is tried again at a new activation, which has read both.
	if _, err := w.ask("a", &write{"three"}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(w.lines("a")); got != "[one two three]" || w.stored("a") != 3 {
		t.Errorf("state %s, %d rows", got, w.stored("a"))
	}
}

func TestPruneAndGraft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.ask("a", &write{"one"}); err != nil {
		t.Fatal(err)
	}
	w.heard(1)
	w.node.Tell("channel", "a", &protocol.Prune{Node: w.node.ID()})
	if _, err := w.ask("a", &write{"unheard"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ask("a", &protocol.Graft{Node: w.node.ID()}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ask("a", &write{"three"}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(w.heard(1)); got != "[one three]" {
		t.Errorf("heard %s", got)
	}
}
