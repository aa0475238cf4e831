package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// socketio sends the call as an event of Socket.IO. A refusal comes as an
// exception; what has no ack has succeeded when its effect can be seen.
func (c call) socketio(t *testing.T, n *node, s *scene) answer {
	t.Helper()
	refusal := make(chan string, 1)
	socket, err := load.Dial(within(t), n.addr, load.Options{Token: s.token, OnEvent: func(name string, payload json.RawMessage) {
		if name == "exception" {
			refusal <- string(payload)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	done := make(chan string, 1)
	if c.op.Acks {
		go func() {
			if ack, err := socket.Ask(within(t), c.op.Event, c.input); err == nil {
				done <- string(ack)
			}
		}()
	} else if err := socket.Emit(c.op.Event, c.input); err != nil {
		t.Fatal(err)
	}
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case ack := <-done:
			return answer{c.op.SuccessStatus(), ack}
		case text := <-refusal:
			return exceptionAnswer(text)
		case <-look.C:
			if !c.op.Acks && s.reacts(t, c.input) == (c.op == &protocol.ReactionAdd.Operation) {
				return answer{c.op.SuccessStatus(), ""}
			}
		}
	}
}

// reacts reports whether the caller's reaction is stored.
func (s *scene) reacts(t *testing.T, input map[string]any) (stored bool) {
	t.Helper()
	err := s.g.db.QueryRow(within(t), `SELECT EXISTS (SELECT FROM message_reaction WHERE message_id = $1 AND emoji = $2 AND user_id = $3)`,
		input["messageId"], input["emoji"], s.vars["me"]).Scan(&stored)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// exceptionAnswer is an exception as the refusal that REST would give.
func exceptionAnswer(text string) answer {
	var e struct{ Message string }
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return answer{http.StatusBadRequest, text} // a list: validation
	}
	body, err := json.Marshal(map[string]any{"message": e.Message, "error": "Forbidden", "statusCode": http.StatusForbidden})
	if err != nil {
		return answer{http.StatusInternalServerError, err.Error()}
	}
	return answer{http.StatusForbidden, string(body)}
}

// TestMatrixSocketIO performs the rows that have an event of Socket.IO.
func TestMatrixSocketIO(t *testing.T) {
	rows := readMatrix(t)
	url := pgtest.URL(t)
	n := startNode(t, "--database-url", url)
	g := newStage(t, url, n)
	for _, r := range rows {
		if r.op.Event == "" {
			continue
		}
		for i, p := range personas {
			if p == anonymous {
				continue // who can't even connect: TestClients
			}
			s := g.newScene(t, p)
			got := call{r.op, s.fill(t, r.request)}.socketio(t, n, s)
			if r.name == "message.send/direct" { // groups have an event of their own
				if got.status != http.StatusForbidden || !strings.Contains(got.body, protocol.ErrForbidden.Message) {
					t.Errorf("%s as %s: %s", r.name, p.name, got)
				}
				continue
			}
			if r.cells[i] == nothing && !strings.Contains(got.body, protocol.ErrForbidden.Message) {
				got.status = http.StatusBadRequest // exceptions don't tell which error it is
			}
			if wrong := r.judge(i, got); wrong != "" {
				t.Errorf("%s as %s %s: %s", r.name, p.name, wrong, got)
			}
		}
	}
}
