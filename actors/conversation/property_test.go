package conversation

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// Whatever happens in whatever order, with some of it refused by Postgres: what
// is in memory is what a fresh activation loads, pages from memory are those of
// Postgres, seqs have no gap but those of deleted messages, and a client that
// has heard every event sees the same list.
func TestMemoryIsWhatAFreshLoadGives(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	for name, world := range map[string]func(fataler) *world{"channel": sc.world, "group": sc.groupWorld} {
		t.Run(name, func(t *testing.T) { checkMemory(t, sc, world) })
	}
}

func checkMemory(t *testing.T, sc *schema, world func(fataler) *world) {
	rapid.Check(t, func(r *rapid.T) {
		w := world(r)
		c := &client{list: []protocol.Message{}}
		mod := sc.users[3]
		w.allow(mod, protocol.ActionReadMessage, protocol.ActionCreateMessage, protocol.ActionDeleteAnyMessage, protocol.ActionCreateReaction, protocol.ActionDeleteReaction)
		var sent []protocol.MessageID
		var reading []turn.Outcome
		deleted, kept, refused := 0, 0, false
		anyone := func() protocol.Caller { return by(rapid.SampledFrom(sc.users).Draw(r, "user")) }
		one := func() protocol.MessageID {
			if len(sent) == 0 {
				return protocol.MessageID{1}
			}
			return rapid.SampledFrom(sent).Draw(r, "message")
		}
		r.Repeat(map[string]func(*rapid.T){
			"send": func(r *rapid.T) {
				req := w.request(rapid.StringN(0, 5, 20).Draw(r, "text"))
				if _, err := do(w, (*State).sendMessage, anyone(), req); err == nil {
					sent = append(sent, req.ID)
				}
			},
			"many": func(*rapid.T) {
				w.refuse = false
				for range maxRecent / 2 {
					sent = append(sent, w.send(sc.users[0], "many").ID)
				}
			},
			"reply": func(r *rapid.T) {
				req := w.replying(one(), rapid.StringN(0, 5, 20).Draw(r, "text"))
				if _, err := do(w, (*State).sendReply, anyone(), req); err == nil {
					sent = append(sent, req.ID)
				}
			},
			"edit": func(r *rapid.T) {
				_, _ = do(w, (*State).editMessage, anyone(), protocol.EditMessage{ID: one(), Spans: new(text(rapid.StringN(0, 5, 20).Draw(r, "text")))})
			},
			"delete": func(*rapid.T) {
				id := one()
				w.settle() // how many go is counted in Postgres
				going := w.with(id)
				if _, err := do(w, (*State).deleteMessage, anyone(), protocol.DeleteMessage{ID: id}); err == nil && going > 0 {
					w.settle()
					deleted += going - w.with(id)
					kept++
				}
			},
			"react": func(r *rapid.T) {
				_, _ = do(w, (*State).addReaction, anyone(), protocol.AddReaction{MessageID: one(), Emoji: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "emoji")})
			},
			"unreact": func(r *rapid.T) {
				_, _ = do(w, (*State).removeReaction, anyone(), protocol.RemoveReaction{MessageID: one(), Emoji: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "emoji")})
			},
			"pin": func(*rapid.T) {
				if !w.channel.IsZero() {
					_, _ = do(w, (*State).pinMessage, by(mod), protocol.PinMessage{MessageID: one()})
				}
			},
			"unpin": func(*rapid.T) {
				if !w.channel.IsZero() {
					_, _ = do(w, (*State).unpinMessage, by(mod), protocol.UnpinMessage{MessageID: one()})
				}
			},
			"remove": func(*rapid.T) {
				_, _ = do(w, (*State).removeMessage, by(mod), protocol.RemoveMessage{MessageID: one()})
			},
			"await": func(*rapid.T) {
				req := w.request("files follow")
				req.PendingAttachments = new(2)
				if _, err := do(w, (*State).sendMessage, anyone(), req); err == nil {
					sent = append(sent, req.ID)
				}
			},
			"attach": func(r *rapid.T) {
				who, req := anyone(), protocol.AddAttachment{ID: one()}
				if rapid.Bool().Draw(r, "file") {
					req.FileID = new(sc.file(r, who.UserID, protocol.MessageID{}))
				}
				_, _ = do(w, (*State).addAttachment, who, req)
			},
			"expire": func(*rapid.T) {
				if rapid.Bool().Draw(r, "late") {
					w.now += protocol.UploadPatience
				}
				_, _ = w.finish(w.s.expireUploads(w.turn(protocol.Caller{}), &protocol.ExpireUploads{Message: one()}))
			},
			"around": func(r *rapid.T) { w.lookAround(r, one()) },
			"begin": func(r *rapid.T) { // a page, which is read before or after what comes next
				g := w.place(r)
				out := w.s.coldPage(w.turn(by(sc.users[0])), g)
				if out.Commit == nil {
					return
				}
				if rapid.Bool().Draw(r, "at once") {
					then, err := out.Commit(w.ctx)
					out.Commit = func(context.Context) (turn.Then, error) { return then, err }
				}
				reading = append(reading, out)
			},
			"end": func(*rapid.T) {
				for _, out := range reading {
					_, _ = w.finish(out, nil)
				}
				reading = nil
			},
			"look":   func(r *rapid.T) { w.look(r) },
			"tick":   func(*rapid.T) { w.tick() },
			"refuse": func(*rapid.T) { w.refuse, refused = true, true },
			"settle": func(*rapid.T) { w.settle() },
			"reload": func(*rapid.T) { w.load() },
			"":       func(*rapid.T) { w.now += 7 },
		})
		w.look(r)
		w.refuse = false
		w.settle()
		if w.stopped {
			if !refused {
				r.Fatalf("the activation ended")
			}
			// It gave up when Postgres refused something: the next one knows what is true,
			// and clients that heard otherwise fetch again.
			w.load()
			c = &client{stale: true}
		}
		for _, e := range w.events {
			c.hear(r, e)
		}
		compare(r, w, c) // while receipts wait
		w.tick()
		w.settle()
		compare(r, w, c)
		// A deletion may leave a row without content, which keeps a seq.
		if all := w.seqs(); len(all)+deleted < int(w.s.seq) || len(all)+deleted > int(w.s.seq)+kept || all != nil && all[len(all)-1] > w.s.seq {
			r.Fatalf("%d rows and %d deleted (%d times) of %d", len(all), deleted, kept, w.s.seq)
		}
		w.checkThreads(r)
	})
}

// place is a page somewhere in the history, one of few so that they are asked for
// again.
func (w *world) place(r *rapid.T) protocol.PageGrant {
	return protocol.PageGrant{
		Limit: rapid.SampledFrom([]int{1, 3, 50}).Draw(r, "limit"), Newer: rapid.Bool().Draw(r, "newer"),
		Cursor: rapid.Int64Range(0, min(w.s.seq, 4)).Draw(r, "cursor") * max(1, w.s.seq/4),
	}
}

// look compares a few pages, kept or not, with Postgres.
func (w *world) look(r *rapid.T) {
	for range 4 {
		g := w.place(r)
		out, err := w.finish(w.s.coldPage(w.turn(protocol.Caller{Owner: true}), g), nil)
		if err != nil {
			r.Fatalf("page %+v: %v", g, err)
		}
		if page := out.(*protocol.PageGrant).Page; string(page) != string(w.cold(g)) {
			r.Fatalf("page %+v kept\n%s\nof Postgres\n%s", g, page, w.cold(g))
		}
	}
}

// lookAround compares the page around a message with Postgres.
func (w *world) lookAround(r *rapid.T, id protocol.MessageID) {
	limit := rapid.IntRange(1, 100).Draw(r, "limit")
	out, err := w.s.Around(w.turn(protocol.Caller{Owner: true}), id, limit)
	if err != nil || out.Commit != nil {
		return // not of memory
	}
	w.settle()
	out, err = w.s.Around(w.turn(protocol.Caller{Owner: true}), id, limit)
	if err != nil || out.Commit != nil {
		return // it was refused
	}
	want, err := w.db.MessagesAround(w.ctx, w.in(), id, (limit-1)/2)
	if got := out.Reply.(*protocol.PageGrant).Page; err != nil || string(got) != string(want) {
		r.Fatalf("around %s, limit %d, of memory\n%s\nof Postgres\n%s\n%v", id, limit, got, want, err)
	}
}

// compare holds memory, Postgres and client against each other.
func compare(t fataler, w *world, c *client) {
	t.Helper()
	s, owner := w.fresh()
	w.owner = owner
	if a, b := dump(w.s), dump(s); !slices.Equal(a, b) {
		t.Fatalf("in memory\n%v\nfresh\n%v", a, b)
	}
	if w.s.seq != s.seq {
		t.Fatalf("seq %d in memory, %d fresh", w.s.seq, s.seq)
	}
	bytes := 0
	for _, e := range w.s.recent.list {
		bytes += weight(e.msg)
	}
	if bytes != w.s.recent.bytes || len(w.s.byID) != len(w.s.recent.list)+len(w.s.warm) || len(w.s.lanes) != 0 {
		t.Fatalf("%d bytes counted as %d, %d by id of %d and %d, %d lanes", bytes, w.s.recent.bytes, len(w.s.byID), len(w.s.recent.list), len(w.s.warm), len(w.s.lanes))
	}
	for _, g := range []protocol.PageGrant{{Limit: 1}, {Limit: 100}, {Limit: 30, Cursor: w.s.seq/2 + 1}, {Limit: 3, Newer: true}, {Limit: 20, Newer: true, Cursor: w.s.seq - 10}} {
		if page := w.s.page(g); page != nil && string(page) != string(w.cold(g)) {
			t.Fatalf("page %+v of memory\n%s\nof Postgres\n%s", g, page, w.cold(g))
		}
	}
	want := decodePage(t, w.cold(protocol.PageGrant{Limit: 100})).Messages
	got := c.list[:min(len(c.list), len(want))]
	if !c.stale && string(encode(got)) != string(encode(want)) {
		t.Fatalf("client has\n%s\nfresh\n%s", encode(got), encode(want))
	}
}

// dump is what both have of the newest messages; how far back the memory
// reaches differs after deletions.
func dump(s *State) []string {
	var list []string
	for _, e := range s.recent.list[max(0, len(s.recent.list)-50):] {
		list = append(list, fmt.Sprintf("%d %s %v\n", e.msg.Seq, encode(e.msg), e.choices))
	}
	return list
}
