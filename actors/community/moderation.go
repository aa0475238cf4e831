package community

import (
	"context"
	"encoding/json"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	errBanRank     = protocol.Forbidden("Cannot ban a user with equal or higher role")
	errTimeoutRank = protocol.Forbidden("Cannot timeout a user with equal or higher role")
	errNotMember   = protocol.NotFound("User is not a member of this community")
	errIsBanned    = protocol.Conflict("User is already banned")
	errNotBanned   = protocol.NotFound("User is not banned")
	errNotTimedOut = protocol.NotFound("User is not timed out")
)

func moderated(text string) *protocol.Moderated {
	return &protocol.Moderated{Success: true, Message: text}
}

// metadata is what the log keeps beside an action.
type metadata struct {
	DurationSeconds int               `json:"durationSeconds,omitempty"`
	ExpiresAt       *protocol.Instant `json:"expiresAt,omitempty"`
}

func (m metadata) encode() json.RawMessage {
	text, err := json.Marshal(m)
	if err != nil { // a number and a time: cannot happen
		return json.RawMessage("{}")
	}
	return text
}

// act is what the caller does to a user, for the log.
func (s *State) act(t turn.Turn, target protocol.UserID, action string, reason *string) persistence.ModerationAct {
	return persistence.ModerationAct{
		Community: s.id, Moderator: t.Caller.UserID, Target: target, Action: action, Reason: rules.Reason(reason), At: t.Now,
	}
}

// against judges whether the caller may act on a user: he must outrank him, and
// the user must be a member. It returns the refusal, or how to find it out.
// Whether a member is an owner of the instance is found out by the transaction.
func (s *State) against(t turn.Turn, target protocol.UserID, rank error) (*turn.Outcome, error) {
	switch {
	case s.missing:
		return nil, errNoCommunity
	case !rules.Outranks(s.rank(t.Caller.UserID, t.Caller.Owner), s.rank(target, false)):
		return nil, rank
	case s.roster.has(target):
		return nil, nil
	}
	db := s.db
	return &turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		switch is, err := db.SparedOwner(ctx, target); {
		case err != nil:
			return nil, err
		case is:
			return nil, rank
		}
		return nil, errNotMember
	}}, nil
}

// banMember takes a member out and keeps him out.
func (s *State) banMember(t turn.Turn, req protocol.BanMember) (turn.Outcome, error) {
	if out, err := s.against(t, req.UserID, errBanRank); out != nil || err != nil {
		return orNothing(out), err
	}
	if until, banned := s.bans[req.UserID]; banned && (until == 0 || until > t.Now) {
		return turn.Outcome{}, errIsBanned
	}
	act := s.act(t, req.UserID, protocol.LogBan, req.Reason)
	act.SpareOwner, act.Metadata = errBanRank, metadata{ExpiresAt: req.ExpiresAt}.encode()
	var until protocol.Instant
	if req.ExpiresAt != nil {
		until = *req.ExpiresAt
	}
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		rows, err := db.BanMember(ctx, owner, act, until)
		if err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			if delete(s.bans, act.Target); until == 0 || until > t.Now {
				s.bans[act.Target] = until
			}
			e, err := s.eventAbout(act.Target, "userBanned", protocol.UserBanned{
				CommunityID: s.id, UserID: act.Target, ModeratorID: act.Moderator, Reason: act.Reason, ExpiresAt: req.ExpiresAt,
			})
			if err != nil {
				return turn.Outcome{}, err
			}
			return s.dropMember(t, departure{
				user: act.Target, rows: rows, events: []protocol.Event{e}, reply: moderated("User banned successfully"),
			})
		}, nil
	}}, nil
}

func orNothing(out *turn.Outcome) turn.Outcome {
	if out == nil {
		return turn.Outcome{}
	}
	return *out
}

// unbanMember lets a user come back. Nobody is told: clients know no such event.
func (s *State) unbanMember(t turn.Turn, req protocol.UnbanMember) (turn.Outcome, error) {
	act := s.act(t, req.UserID, protocol.LogUnban, req.Reason)
	act.NotThere = errNotBanned
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.UnbanMember(ctx, owner, act); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			delete(s.bans, act.Target)
			return turn.Outcome{Reply: moderated("User unbanned successfully")}, nil
		}, nil
	}}, nil
}

// kickMember takes a member out; he may come back.
func (s *State) kickMember(t turn.Turn, req protocol.KickMember) (turn.Outcome, error) {
	if out, err := s.against(t, req.UserID, errRank); out != nil || err != nil {
		return orNothing(out), err
	}
	act := s.act(t, req.UserID, protocol.LogKick, req.Reason)
	act.SpareOwner = errRank
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		rows, err := db.KickMember(ctx, owner, act)
		if err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			e, err := s.eventAbout(act.Target, "userKicked", protocol.UserKicked{
				CommunityID: s.id, UserID: act.Target, ModeratorID: act.Moderator, Reason: act.Reason,
			})
			if err != nil {
				return turn.Outcome{}, err
			}
			return s.dropMember(t, departure{
				user: act.Target, rows: rows, events: []protocol.Event{e}, reply: moderated("User kicked successfully"),
			})
		}, nil
	}}, nil
}

// timeoutMember silences a member. No channel lets him write any more when the
// moderator gets his answer.
func (s *State) timeoutMember(t turn.Turn, req protocol.TimeoutMember) (turn.Outcome, error) {
	if out, err := s.against(t, req.UserID, errTimeoutRank); out != nil || err != nil {
		return orNothing(out), err
	}
	until := t.Now + protocol.Instant(req.DurationSeconds)*1000
	act := s.act(t, req.UserID, protocol.LogTimeout, req.Reason)
	act.SpareOwner, act.Metadata = errTimeoutRank, metadata{DurationSeconds: req.DurationSeconds, ExpiresAt: &until}.encode()
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.TimeoutMember(ctx, owner, act, until); err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			s.forgetExpired(t.Now)
			s.timeouts[act.Target] = until
			e, err := s.event("userTimedOut", protocol.UserTimedOut{
				CommunityID: s.id, UserID: act.Target, ModeratorID: act.Moderator, Reason: act.Reason,
				DurationSeconds: req.DurationSeconds, ExpiresAt: until,
			})
			if err != nil {
				return turn.Outcome{}, err
			}
			out, err := s.takeBack(t, []protocol.UserID{act.Target}, confirmed(turn.Outcome{Reply: moderated("User timed out successfully")}))
			out.Events = append([]protocol.Event{e}, out.Events...)
			return out, err
		}, nil
	}}, nil
}

// forgetExpired drops restrictions that are over.
func (s *State) forgetExpired(now protocol.Instant) {
	for u, until := range s.timeouts {
		if until <= now {
			delete(s.timeouts, u)
		}
	}
	for u, until := range s.bans {
		if until != 0 && until <= now {
			delete(s.bans, u)
		}
	}
}

// removeTimeout lets a member speak again.
func (s *State) removeTimeout(t turn.Turn, req protocol.RemoveTimeout) (turn.Outcome, error) {
	act := s.act(t, req.UserID, protocol.LogRemoveTimeout, req.Reason)
	act.NotThere = errNotTimedOut
	db, owner := s.db, t.Owner
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.RemoveTimeout(ctx, owner, act); err != nil {
			return nil, err
		}
		return func(t turn.Turn) (turn.Outcome, error) {
			delete(s.timeouts, act.Target)
			e, err := s.event("timeoutRemoved", protocol.TimeoutRemoved{
				CommunityID: s.id, UserID: act.Target, ModeratorID: act.Moderator, Reason: act.Reason,
			})
			if err != nil {
				return turn.Outcome{}, err
			}
			out, err := s.takeBack(t, []protocol.UserID{act.Target}, grown(turn.Outcome{Reply: moderated("Timeout removed successfully")}))
			out.Events = append([]protocol.Event{e}, out.Events...)
			return out, err
		}, nil
	}}, nil
}

func (s *State) timeoutStatus(t turn.Turn, req protocol.GetTimeout) (turn.Outcome, error) {
	status := &protocol.TimeoutStatus{}
	if until := s.timeouts[req.UserID]; until > t.Now {
		status.IsTimedOut, status.ExpiresAt = true, &until
	}
	return turn.Outcome{Reply: status}, nil
}

// The lists are read by the edge.

func (s *State) listBans(t turn.Turn, _ protocol.ListBans) (turn.Outcome, error) {
	return turn.Outcome{Reply: &protocol.ModerationGrant{Now: t.Now}}, nil
}

func (s *State) listTimeouts(t turn.Turn, _ protocol.ListTimeouts) (turn.Outcome, error) {
	return turn.Outcome{Reply: &protocol.ModerationGrant{Now: t.Now}}, nil
}

func (s *State) moderationLog(t turn.Turn, _ protocol.ListModerationLog) (turn.Outcome, error) {
	return turn.Outcome{Reply: &protocol.ModerationGrant{Now: t.Now}}, nil
}
