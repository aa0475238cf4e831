package turn

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// Actors that every node has: the relay hands events to its sockets, the gate
// knows who may call.
const (
	relayName = "relay"
	gateName  = "gate"
)

// gateTimeout bounds the wait for the gates of other nodes. A node that does
// not answer in time is cut off or dead; what it knows expires by itself.
const gateTimeout = 2 * time.Second

// finish performs what a handler decided. A structural turn holds others of its
// sort back until its Commit has returned.
func (a *activation[S]) finish(ctx actor.Context, out Outcome, err error, structural bool, reply func(any, error)) {
	if err != nil {
		reply(nil, a.answer(err))
		return
	}
	switch {
	case out.Commit != nil:
		a.commit(out.Commit, structural, reply)
		return
	case len(out.Asks) > 0:
		a.publish(out)
		a.gather(out.Asks, out.Then, reply)
		return
	case len(out.Accounts) > 0:
		reply = a.afterGates(out.Accounts, reply)
	}
	a.write(out, reply)
	a.publish(out)
	for _, t := range out.Timers {
		msg := t.Msg
		time.AfterFunc(t.After, func() { a.system.Root.Send(a.self, msg) })
	}
	if out.Stop {
		a.draining.Store(true)
	}
}

// write queues the rows and sees to the reply.
func (a *activation[S]) write(out Outcome, reply func(any, error)) {
	value := out.Reply
	if value == nil {
		value = &protocol.Done{}
	}
	if len(out.Rows) == 0 && (!out.AfterRows || a.inflight.Load() == 0) {
		reply(value, nil)
		return
	}
	a.inflight.Add(1)
	refused, stored := out.Refused, out.Stored
	done := func(err error) {
		if err != nil {
			reply(nil, a.answer(err))
			a.send(&again[S]{func(ctx actor.Context, a *activation[S]) { a.written(ctx, refused, err) }})
			return
		}
		reply(value, nil)
		if stored != nil {
			stored()
		}
		// The mailbox is bothered only when it waits for the last write. Both sides
		// change their own flag before they look at the other's.
		if a.inflight.Add(-1) == 0 && a.draining.Load() {
			a.send(&again[S]{func(actor.Context, *activation[S]) {}})
		}
	}
	if err := a.env.Writer.Enqueue(persistence.Write{Owner: a.owner(), Rows: out.Rows, Done: done}); err != nil {
		done(err)
	}
}

// written is the turn after rows were refused.
func (a *activation[S]) written(ctx actor.Context, refused func(Turn, error) Outcome, err error) {
	a.inflight.Add(-1)
	switch {
	case errors.Is(err, persistence.ErrFenced):
		a.log().Warn("another node owns this actor, stopping", "epoch", a.epoch)
		a.draining.Store(true)
		a.refuseHeld()
	case refused != nil:
		a.finish(ctx, refused(a.turn(protocol.Caller{}), err), nil, false, nobody)
	}
}

// commit runs the first half of a turn beside the mailbox and the second half
// in it.
func (a *activation[S]) commit(work func(context.Context) (Then, error), structural bool, reply func(any, error)) {
	a.working = a.working || structural
	a.inflight.Add(1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), workTimeout)
		defer cancel()
		then, err := work(ctx)
		a.send(&again[S]{func(ctx actor.Context, a *activation[S]) { a.committed(ctx, then, err, structural, reply) }})
	}()
}

func (a *activation[S]) committed(ctx actor.Context, then Then, err error, structural bool, reply func(any, error)) {
	if structural {
		a.working = false
	}
	a.inflight.Add(-1)
	if errors.Is(err, persistence.ErrFenced) {
		a.draining.Store(true)
	}
	if err != nil {
		reply(nil, a.answer(err))
	} else {
		out, err := then(a.turn(protocol.Caller{}))
		a.finish(ctx, out, err, structural, reply)
	}
	for len(a.held) > 0 && !a.working && !a.draining.Load() {
		next := a.held[0]
		a.held = a.held[1:]
		a.serve(ctx, next)
	}
	if len(a.held) == 0 {
		a.held = nil // with what its array still refers to
	}
	if a.draining.Load() {
		a.refuseHeld()
	}
}

// gather asks other actors and goes on when all have answered or failed.
func (a *activation[S]) gather(asks []Ask, then func(Turn, []Answer) (Outcome, error), reply func(any, error)) {
	a.inflight.Add(1)
	answers := make([]Answer, len(asks))
	missing := len(asks)
	for i, q := range asks {
		a.ask(q, func(ctx actor.Context, a *activation[S], answer Answer) {
			answers[i] = answer
			if missing--; missing > 0 {
				return
			}
			a.inflight.Add(-1)
			out, err := then(a.turn(protocol.Caller{}), answers)
			a.finish(ctx, out, err, false, reply)
		})
	}
}

// afterGates holds a reply back until every node has forgotten the accounts.
func (a *activation[S]) afterGates(users []protocol.UserID, reply func(any, error)) func(any, error) {
	return func(value any, err error) {
		if err != nil {
			reply(value, err)
			return
		}
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), gateTimeout)
			defer cancel()
			var all sync.WaitGroup
			for _, m := range a.env.Node.View().Members {
				for _, u := range users {
					all.Go(func() {
						if _, err := a.env.Node.AskNode(ctx, m.ID, gateName, &protocol.AccountChanged{User: u, From: a.env.Node.ID()}); err != nil {
							a.log().Warn("gate did not answer", "node", m.ID, "error", err)
						}
					})
				}
			}
			all.Wait()
			reply(value, nil)
		}()
	}
}

// publish sends events to the relays of the nodes that want them, and messages
// to other actors.
func (a *activation[S]) publish(out Outcome) {
	if out.Pages {
		a.env.Node.TellNodes(a.audience(true), gateName, &protocol.PagesStale{})
	}
	if len(out.Events)+len(out.Rooms)+len(out.Empties)+len(out.Closes) > 0 {
		nodes := a.audience(out.Everywhere)
		for i := range out.Rooms {
			a.env.Node.TellNodes(nodes, relayName, &out.Rooms[i])
		}
		for i := range out.Events {
			a.env.Node.TellNodes(nodes, relayName, a.fanout(out.Events[i]))
		}
		for i := range out.Empties {
			a.env.Node.TellNodes(nodes, relayName, &out.Empties[i])
		}
		for i := range out.Closes {
			a.env.Node.TellNodes(nodes, relayName, &out.Closes[i])
		}
	}
	for _, t := range out.Tells {
		a.env.Node.Tell(string(t.Kind), t.ID, t.Msg)
	}
}

// fanout marks events of the actor's own topic so that relays can prune.
func (a *activation[S]) fanout(e protocol.Event) *protocol.Fanout {
	a.events++
	f := &protocol.Fanout{Event: e, Serial: protocol.Serial{From: a.run, N: a.events}}
	if a.kind.Audience == nil && len(e.Topics) == 1 && e.Topics[0].Of(a.kind.Name) {
		f.Origin = protocol.Origin{Kind: a.kind.Name, ID: a.id}
	}
	return f
}

func (a *activation[S]) audience(everywhere bool) []string {
	if a.kind.Audience != nil && !everywhere {
		return a.kind.Audience(a.state)
	}
	if everywhere {
		a.pruned = nil // whoever joins now must hear what comes next
	}
	members := a.env.Node.View().Members
	nodes := make([]string, 0, len(members))
	for _, m := range members {
		if _, pruned := a.pruned[m.ID]; !pruned || everywhere {
			nodes = append(nodes, m.ID)
		}
	}
	return nodes
}
