package conversation

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// archive is what of a conversation is not in memory.
type archive struct {
	db     *persistence.DB
	writer *persistence.Writer
	pages  *persistence.Pages
	log    *slog.Logger

	noticed func() // messages that may notify somebody are stored; may be nil
}

// message reads a message of the conversation as it is when all that was queued for
// it is stored; nil when there is none.
func (a archive) message(ctx context.Context, owner persistence.Owner, in protocol.Place, id protocol.MessageID) (*persistence.LoggedMessage, error) {
	if err := a.writer.Flush(ctx, owner); err != nil {
		return nil, err
	}
	m, err := a.db.LoggedMessage(ctx, id)
	if err != nil || m == nil || m.Place() != in {
		return nil, err
	}
	return m, nil
}

// page reads a page as it is when all that was queued for the conversation is stored.
func (a archive) page(ctx context.Context, owner persistence.Owner, in protocol.Place, g protocol.PageGrant) (*persistence.StoredPage, error) {
	if err := a.writer.Flush(ctx, owner); err != nil {
		return nil, err
	}
	return a.db.MessagePage(ctx, in, g)
}

// around reads the page around a message; nil when there is none.
func (a archive) around(ctx context.Context, owner persistence.Owner, in protocol.Place, id protocol.MessageID, half int) (json.RawMessage, error) {
	if err := a.writer.Flush(ctx, owner); err != nil {
		return nil, err
	}
	return a.db.MessagesAround(ctx, in, id, half)
}

// laneKey names what a detour is about: a message, or the sends of an author.
type laneKey struct {
	message protocol.MessageID
	author  protocol.UserID
}

// lane is the detours about one thing, in the order in which they came.
type lane struct {
	tail chan struct{} // closed when the last of them has had its turn
	jobs int
}

// job is a command that can't be decided with what is in memory.
type job struct {
	key   laneKey
	by    protocol.Caller
	needs protocol.Action // the right by which it was let in; it must still hold afterwards
	// ready reports, in a turn, that there is nothing to read after all; nil: never.
	ready func() bool
	// read runs beside the mailbox. What it returns is run in the turn of run,
	// before it.
	read func(ctx context.Context) (learn func(), err error)
	run  func(t turn.Turn) (turn.Outcome, error)
	// failed is run instead of run when reading failed; nil: the caller is told to
	// try again.
	failed func(t turn.Turn) turn.Outcome
}

// detour reads what the job needs beside the mailbox and runs it in a later
// turn, after the jobs that entered its lane before it.
func (s *State) detour(j job) turn.Outcome {
	l := s.lanes[j.key]
	if l == nil {
		l = &lane{}
		s.lanes[j.key] = l
	}
	before, mine := l.tail, make(chan struct{})
	l.tail = mine
	l.jobs++
	if before == nil {
		return s.fetch(j, mine)
	}
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		select {
		case <-before:
		case <-ctx.Done():
			return func(t turn.Turn) (turn.Outcome, error) { return s.leave(t, j, mine, ctx.Err()) }, nil
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			if j.ready != nil && j.ready() {
				return s.leave(t, j, mine, nil)
			}
			return s.fetch(j, mine), nil
		}, nil
	}}
}

// fetch reads, and comes back even when that failed: others wait behind.
func (s *State) fetch(j job, mine chan struct{}) turn.Outcome {
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		learn, err := j.read(ctx)
		return func(t turn.Turn) (turn.Outcome, error) {
			if err == nil && !s.gone() {
				learn()
			}
			return s.leave(t, j, mine, err)
		}, nil
	}}
}

// leave is the job's turn.
func (s *State) leave(t turn.Turn, j job, mine chan struct{}, err error) (turn.Outcome, error) {
	defer close(mine)
	l := s.lanes[j.key]
	if l.jobs--; l.jobs == 0 {
		delete(s.lanes, j.key)
	}
	t.Caller = j.by
	if err != nil {
		s.archive.log.Warn("conversation could not read what a command needs", "error", err)
		if j.failed != nil {
			return j.failed(t), nil
		}
		return turn.Outcome{}, protocol.ErrUnavailable
	}
	if err := s.stillMay(j); err != nil {
		return turn.Outcome{}, err
	}
	return j.run(t)
}

// stillMay judges again: rights may have been taken away in between.
func (s *State) stillMay(j job) error {
	if j.needs == protocol.ActionNone {
		return nil
	}
	return s.rules.Still(j.by, j.needs)
}

// find gives the entry of a message that can be worked on now: it is in memory
// and nobody on a detour is before.
func (s *State) find(id protocol.MessageID) *entry {
	if s.lanes[laneKey{message: id}] != nil {
		return nil
	}
	return s.byID[id]
}

// withMessage runs run with the message, now or after a detour. The entry is nil
// when there is no such message.
func (s *State) withMessage(t turn.Turn, id protocol.MessageID, needs protocol.Action, run func(t turn.Turn, e *entry) (turn.Outcome, error)) (turn.Outcome, error) {
	if e := s.find(id); e != nil {
		return run(t, e)
	}
	return s.detour(job{
		key: laneKey{message: id}, by: t.Caller, needs: needs,
		ready: func() bool { return s.byID[id] != nil },
		read:  func(ctx context.Context) (func(), error) { return s.readMessage(ctx, t.Owner, id) },
		run:   func(t turn.Turn) (turn.Outcome, error) { return run(t, s.byID[id]) },
	}), nil
}

// readMessage is for beside the mailbox: of the state it uses only what never
// changes.
func (s *State) readMessage(ctx context.Context, owner persistence.Owner, id protocol.MessageID) (func(), error) {
	m, err := s.archive.message(ctx, owner, s.in, id)
	if err != nil {
		return nil, err
	}
	return func() {
		if m != nil && s.byID[id] == nil {
			s.keep(m)
		}
	}, nil
}

// reread makes the state of a message what Postgres says, after a change of it
// was refused, and tells everybody.
func (s *State) reread(owner persistence.Owner, id protocol.MessageID) turn.Outcome {
	return s.detour(job{
		key: laneKey{message: id},
		read: func(ctx context.Context) (func(), error) {
			learn, err := s.readMessage(ctx, owner, id)
			if err != nil {
				return nil, err
			}
			return func() {
				s.forget(id)
				learn()
			}, nil
		},
		run: func(t turn.Turn) (turn.Outcome, error) {
			if e := s.byID[id]; e != nil {
				s.archive.pages.Changed(e.msg.Seq) // it may not have been in memory before
				return turn.Outcome{Events: s.updated(t, e)}, nil
			}
			return turn.Outcome{Events: []protocol.Event{s.deleted(t, id)}}, nil
		},
		// Nobody knows what is true: the next activation will.
		failed: func(turn.Turn) turn.Outcome { return turn.Outcome{Stop: true} },
	})
}
