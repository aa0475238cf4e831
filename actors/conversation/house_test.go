package conversation

import (
	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

var errGone = protocol.NotFound("Nothing here")

// house is the rules of these tests; those of kinds are tested with them.
type house struct {
	gone      bool
	may       map[protocol.UserID]protocol.ActionSet
	timeout   map[protocol.UserID]protocol.Instant // until when
	slowmode  int
	community protocol.CommunityID
}

func newHouse() *house {
	return &house{may: map[protocol.UserID]protocol.ActionSet{}, timeout: map[protocol.UserID]protocol.Instant{}}
}

func (h *house) Gone() error {
	if h.gone {
		return errGone
	}
	return nil
}

func (h *house) Still(c protocol.Caller, needs protocol.Action) error {
	may, known := h.may[c.UserID]
	switch {
	case c.Owner:
		return h.Gone()
	case h.gone, known && !may.Has(needs):
		return protocol.ErrForbidden
	case !known:
		return protocol.ErrUnavailable
	}
	return nil
}

func (h *house) MaySend(t turn.Turn, last protocol.Instant) error {
	if err := h.MayTouch(t); err != nil {
		return err
	}
	wait := rules.SlowmodeRemaining(h.slowmode, last, t.Now)
	if wait == 0 || rules.ExemptFromSlowmode(t.Caller.Owner, h.may[t.Caller.UserID]) {
		return nil
	}
	return rules.Slowmode(wait)
}

func (h *house) MayTouch(t turn.Turn) error {
	if wait := rules.TimeoutRemaining(h.timeout[t.Caller.UserID], t.Now); wait > 0 {
		return rules.TimedOut(wait)
	}
	return nil
}

func (h *house) Actions(c protocol.Caller) protocol.ActionSet {
	return rules.Effective(c.Owner, []protocol.ActionSet{h.may[c.UserID]})
}

func (h *house) Community() protocol.CommunityID { return h.community }
