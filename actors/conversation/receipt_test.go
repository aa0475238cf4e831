package conversation

import (
	"errors"
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func TestReceiptsOfSendersGoTogether(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice, bob := sc.users[0], sc.users[1]
	w.send(alice, "one")
	w.send(bob, "two")
	newest := w.send(alice, "three")
	w.settle()
	if a, b := w.watermark(alice), w.watermark(bob); a != 0 || b != 0 {
		t.Errorf("watermarks %d and %d before the timer", a, b)
	}
	if len(w.timers) != 1 || w.timers[0].After != receiptsAfter || !w.s.unwritten() {
		t.Fatalf("timers %+v", w.timers)
	}
	var outs []turn.Outcome
	w.grab = func(o turn.Outcome) { outs = append(outs, o) }
	w.tick()
	w.settle()
	if len(outs) != 1 || len(outs[0].Rows) != 2 || len(w.timers) != 0 || w.s.unwritten() {
		t.Errorf("%+v, timers %+v", outs, w.timers)
	}
	if a, b := w.watermark(alice), w.watermark(bob); a != 3 || b != 2 {
		t.Errorf("watermarks %d and %d", a, b)
	}
	var message protocol.MessageID
	if err := w.db.Pool().QueryRow(w.ctx, `SELECT last_read_message_id FROM read_receipt WHERE user_id = $1 AND channel_id = $2`,
		alice, w.channel).Scan(&message); err != nil || message != newest.ID {
		t.Errorf("last read message %v: %v", message, err)
	}
	w.send(bob, "four")
	if len(w.timers) != 1 {
		t.Errorf("%d timers after the next message", len(w.timers))
	}
}

func TestRefusedReceipts(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	for name, c := range map[string]struct {
		why  error
		kept bool
	}{
		"no room":           {protocol.ErrUnavailable, true},
		"not what PG wants": {errors.New("no such thing"), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := sc.world(t)
			w.why = c.why
			alice, bob := sc.users[0], sc.users[1]
			w.send(alice, "one")
			w.send(bob, "two")
			w.refuse = true
			w.tick()
			w.send(alice, "three") // before the refusal is known
			w.settle()
			w.tick()
			w.settle()
			want := int64(0)
			if c.kept {
				want = 2
			}
			if a, b := w.watermark(alice), w.watermark(bob); a != 3 || b != want {
				t.Errorf("watermarks %d and %d, want 3 and %d", a, b, want)
			}
			if w.s.unwritten() || len(w.timers) != 0 {
				t.Error("something waits still")
			}
		})
	}
}

func TestReceiptOfARefusedMessageIsTakenBack(t *testing.T) {
	t.Parallel()
	sc := newSchema(t)
	w := sc.world(t)
	alice, bob := sc.users[0], sc.users[1]
	w.send(alice, "one")
	for _, u := range []protocol.UserID{alice, bob} {
		w.refuse = true
		if _, err := do(w, (*State).sendMessage, by(u), w.request("lost")); err == nil {
			t.Fatal("not refused")
		}
	}
	w.settle()
	w.tick()
	w.settle()
	if a, b := w.watermark(alice), w.watermark(bob); a != 1 || b != 0 {
		t.Errorf("watermarks %d and %d, want 1 and 0", a, b)
	}
}

// More senders than may wait: theirs go with their message.
func TestWaitingReceiptsAreBounded(t *testing.T) {
	t.Parallel()
	s := bare()
	send := func(u protocol.UserID, i int) turn.Outcome {
		t.Helper()
		out, err := s.sendMessage(turn.Turn{Now: protocol.Instant(i + 1), Caller: by(u)}, sending(s, i))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := protocol.UserID(protocol.NewID[tag]())
	if out := send(first, 0); len(out.Rows) != 1 || len(out.Timers) != 1 {
		t.Fatalf("%+v", out)
	}
	for i := 1; i < maxReceipts; i++ {
		if out := send(protocol.UserID(protocol.NewID[tag]()), i); len(out.Rows) != 1 || len(out.Timers) != 0 {
			t.Fatalf("%d: %+v", i, out)
		}
	}
	if out := send(protocol.UserID(protocol.NewID[tag]()), maxReceipts); len(out.Rows) != 2 || len(s.receipts.waiting) != maxReceipts {
		t.Errorf("%d rows, %d wait", len(out.Rows), len(s.receipts.waiting))
	}
	if out := send(first, maxReceipts+1); len(out.Rows) != 1 {
		t.Errorf("%d rows of a sender who waits", len(out.Rows))
	}
}
