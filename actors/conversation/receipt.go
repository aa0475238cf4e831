package conversation

import (
	"errors"
	"time"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

const (
	receiptsAfter = 2 * time.Second // between the first receipt that waits and its write
	maxReceipts   = 1024            // that wait; others go with their message
)

// flushReceipts is the timer's message: write what waits.
type flushReceipts struct{}

// receipt says how far a sender has read: up to his own newest message.
type receipt struct {
	message protocol.MessageID
	seq     int64
	at      protocol.Instant
}

func receiptOf(m *protocol.Message) receipt {
	return receipt{message: m.ID, seq: m.Seq, at: m.SentAt}
}

func (r receipt) row(in protocol.Place, user protocol.UserID) *persistence.ReceiptRow {
	return &persistence.ReceiptRow{
		ID: newRowID(), User: user, In: in, Message: r.message, Seq: r.seq, SentAt: r.at, At: r.at,
	}
}

// receipts are the watermarks of senders that are not queued yet, the newest of
// each.
type receipts struct {
	waiting map[protocol.UserID]receipt
	armed   bool // a timer runs
}

func newReceipts() receipts { return receipts{waiting: map[protocol.UserID]receipt{}} }

// add reports whether there was room.
func (r *receipts) add(user protocol.UserID, mark receipt) bool {
	old, known := r.waiting[user]
	if !known && len(r.waiting) >= maxReceipts {
		return false
	}
	if mark.seq > old.seq {
		r.waiting[user] = mark
	}
	return true
}

// undo takes back the watermark of a message that was refused, in favour of the
// one before; the zero receipt is none.
func (r *receipts) undo(user protocol.UserID, of protocol.MessageID, before receipt) {
	switch {
	case r.waiting[user].message != of:
	case before == receipt{}:
		delete(r.waiting, user)
	default:
		r.waiting[user] = before
	}
}

// timer is the timer that is missing, if any.
func (r *receipts) timer() []turn.Timer {
	if r.armed || len(r.waiting) == 0 {
		return nil
	}
	r.armed = true
	return []turn.Timer{{After: receiptsAfter, Msg: &flushReceipts{}}}
}

// flushReceipts queues all that wait as one write.
func (s *State) flushReceipts(turn.Turn, *flushReceipts) (turn.Outcome, error) {
	s.receipts.armed = false
	if len(s.receipts.waiting) == 0 || s.gone() {
		clear(s.receipts.waiting)
		return turn.Outcome{}, nil
	}
	taken := s.receipts.waiting
	s.receipts.waiting = map[protocol.UserID]receipt{}
	rows := make([]persistence.Row, 0, len(taken))
	for user, r := range taken {
		rows = append(rows, r.row(s.in, user))
	}
	return turn.Outcome{
		Rows:    rows,
		Refused: func(_ turn.Turn, err error) turn.Outcome { return s.refusedReceipts(taken, err) },
	}, nil
}

// leaveReceipts queues them because the conversation moves.
func (s *State) leaveReceipts(t turn.Turn) turn.Outcome {
	out, _ := s.flushReceipts(t, &flushReceipts{}) // never an error
	return out
}

// refusedReceipts keeps receipts that found no room for the next time. Those that
// Postgres does not want are forgotten, and so are those for which there is no
// room here any more.
func (s *State) refusedReceipts(taken map[protocol.UserID]receipt, err error) turn.Outcome {
	if !errors.Is(err, protocol.ErrUnavailable) {
		return turn.Outcome{}
	}
	for user, r := range taken {
		s.receipts.add(user, r)
	}
	return turn.Outcome{Timers: s.receipts.timer()}
}

// unwritten reports whether something waits for its timer: an activation that is
// merely unused stays until that is written.
func (s *State) unwritten() bool { return len(s.receipts.waiting) > 0 }
