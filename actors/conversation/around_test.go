package conversation

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

// aroundPage is the page around a message, as clients get it.
func (w *world) aroundPage(id protocol.MessageID, limit int) (p protocol.AroundPage, err error) {
	w.t.Helper()
	out, err := w.s.Around(w.turn(protocol.Caller{Owner: true}), id, limit)
	reply, err := w.finish(out, err)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(reply.(*protocol.PageGrant).Page, &p); err != nil {
		w.t.Fatalf("page: %v", err)
	}
	return p, nil
}

// TestAround reads around every message, from memory and from Postgres, and on
// in both directions: nothing is missing and nothing comes twice.
func TestAround(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	for name, world := range map[string]func(fataler) *world{"channel": sc.world, "group": sc.groupWorld} {
		t.Run(name, func(t *testing.T) {
			w := world(t)
			var all []protocol.MessageID // newest first
			for range maxRecent + 30 {
				all = slices.Insert(all, 0, w.send(sc.users[0], "m").ID)
			}
			gone := all[40]
			if _, err := do(w, (*State).deleteMessage, by(sc.users[0]), protocol.DeleteMessage{ID: gone}); err != nil {
				t.Fatal(err)
			}
			all = slices.Delete(all, 40, 41)
			for i, id := range all {
				for _, limit := range []int{1, 2, 7, 50, 1000} {
					half := (min(limit, protocol.MaxPage) - 1) / 2
					p, err := w.aroundPage(id, limit)
					if err != nil {
						t.Fatal(err)
					}
					from, to := max(0, i-half), min(len(all), i+half+1)
					if got := ids(p.Messages); !slices.Equal(got, all[from:to]) {
						t.Fatalf("message %d of %d, limit %d: %d messages, want %d", i, len(all), limit, len(got), to-from)
					}
					if (p.NewerContinuationToken != "") != (from > 0) || (p.OlderContinuationToken != "") != (to < len(all)) {
						t.Fatalf("message %d of %d, limit %d: tokens %q and %q", i, len(all), limit, p.OlderContinuationToken, p.NewerContinuationToken)
					}
					if i%19 != 0 {
						continue
					}
					if p.OlderContinuationToken != "" {
						next := w.list(protocol.ListMessages{Limit: 3, ContinuationToken: p.OlderContinuationToken})
						if got := ids(next.Messages); !slices.Equal(got, all[to:min(len(all), to+3)]) {
							t.Fatalf("older than around %d: %v", i, got)
						}
					}
					if p.NewerContinuationToken != "" {
						next := w.list(protocol.ListMessages{Limit: 3, Direction: "newer", ContinuationToken: p.NewerContinuationToken})
						if got := ids(next.Messages); !slices.Equal(got, all[max(0, from-3):from]) {
							t.Fatalf("newer than around %d: %v", i, got)
						}
					}
				}
			}
			for name, id := range map[string]protocol.MessageID{"deleted": gone, "unknown": {7}} {
				if _, err := w.aroundPage(id, 10); !errors.Is(err, errNoMessage) {
					t.Errorf("%s: %v", name, err)
				}
			}
			elsewhere := sc.world(t).send(sc.users[0], "elsewhere")
			if _, err := w.aroundPage(elsewhere.ID, 10); !errors.Is(err, errNoMessage) {
				t.Errorf("elsewhere: %v", err)
			}
		})
	}
}
