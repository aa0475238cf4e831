package cluster

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// release asks the actor to flush and stop, and stops it hard when it takes too
// long. The channel is closed when the activation is gone.
func (h *host) release(reason Reason) <-chan struct{} {
	h.mu.Lock()
	switch h.state {
	case starting: // it has done nothing yet
		h.mu.Unlock()
		h.detach(outcome{verdict: moved})
	case live:
		h.state, h.reason = releasing, reason
		h.limit = time.AfterFunc(releaseTimeout, h.kill)
		pid := h.pid
		h.mu.Unlock()
		h.sendRelease(pid, reason)
	case releasing:
		if h.reason == ReasonIdle {
			h.reason = reason
		}
		h.mu.Unlock()
	default:
		h.mu.Unlock()
	}
	return h.whenGone()
}

func (h *host) sendRelease(pid *actor.PID, reason Reason) {
	c := &call{host: h, value: &Release{Reason: reason}, local: releaseAnswer{h, reason}}
	c.from.Address, c.from.Id = h.node.system.Address(), doorName
	h.node.system.Root.Send(pid, &actor.MessageEnvelope{Message: c, Sender: &c.from})
}

// releaseAnswer hears what the actor replies to a Release.
type releaseAnswer struct {
	host   *host
	reason Reason
}

func (a releaseAnswer) answer(out outcome) {
	said, _ := out.value.(error) // Reply(ctx, Busy) will do too
	if !errors.Is(out.err, Busy) && !errors.Is(said, Busy) {
		return
	}
	h := a.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state != releasing || a.reason != ReasonIdle {
		return
	}
	if h.reason != ReasonIdle { // it cannot stay: meanwhile there is a better reason
		h.sendRelease(h.pid, h.reason)
		return
	}
	h.limit.Stop()
	h.state = live
	h.used.Store(time.Now().UnixNano())
}

// kill ends an activation that did not stop in time, or is not to flush. If it
// is stuck in a turn it lingers outside of every table; what it writes later is
// refused by its epoch.
func (h *host) kill() {
	h.mu.Lock()
	pid, state := h.pid, h.state
	h.mu.Unlock()
	if state == stopped {
		return
	}
	if state == releasing {
		h.node.log.Warn("activation did not stop in time", "actor", h.name(), "reason", h.reason.String())
	}
	if pid != nil {
		h.node.system.Root.Stop(pid)
	}
	h.detach(outcome{verdict: moved})
}
