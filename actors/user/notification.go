package user

import (
	"context"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// tellRead lets the user's devices drop what was read, one event each. Too many
// are left to the next look at the list.
func (s *State) tellRead(out turn.Outcome, ids []protocol.AnyID) (turn.Outcome, error) {
	if len(ids) > protocol.MaxReadEvents {
		return out, nil
	}
	for _, id := range ids {
		e, err := s.event("notificationRead", protocol.NotificationWasRead{NotificationID: id})
		if err != nil {
			return turn.Outcome{}, err
		}
		out.Events = append(out.Events, e)
	}
	return out, nil
}

func (s *State) readNotification(_ turn.Turn, req protocol.ReadNotification) (turn.Outcome, error) {
	db, me := s.db, s.user.ID
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		n, err := db.ReadNotification(ctx, me, req.ID)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			return s.tellRead(turn.Outcome{Reply: &n}, []protocol.AnyID{n.ID})
		}, nil
	}}, nil
}

func (s *State) readNotifications(turn.Turn, protocol.ReadAllNotifications) (turn.Outcome, error) {
	db, me := s.db, s.user.ID
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		ids, err := db.ReadNotifications(ctx, me)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			return s.tellRead(turn.Outcome{Reply: &protocol.Count{Count: len(ids)}}, ids)
		}, nil
	}}, nil
}

func (s *State) dismissNotification(_ turn.Turn, req protocol.DismissNotification) (turn.Outcome, error) {
	db, me := s.db, s.user.ID
	return stored(func(ctx context.Context) (any, error) {
		n, err := db.DismissNotification(ctx, me, req.ID)
		return &n, err
	}), nil
}

func (s *State) deleteNotification(_ turn.Turn, req protocol.DeleteNotification) (turn.Outcome, error) {
	db, me := s.db, s.user.ID
	return stored(func(ctx context.Context) (any, error) {
		return &protocol.None{}, db.DeleteNotification(ctx, me, req.ID)
	}), nil
}

// updateNotificationSettings changes what the user wants to hear of. Channels
// that have stopped announcing messages to nobody take it up again.
func (s *State) updateNotificationSettings(t turn.Turn, req protocol.UpdateNotificationSettings) (turn.Outcome, error) {
	db, me, at := s.db, s.user.ID, t.Now
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		settings, err := db.ChangeNotificationSettings(ctx, me, req, at)
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			out := turn.Outcome{Reply: &settings}
			if settings.DefaultChannelLevel != protocol.LevelAll {
				return out, nil
			}
			for _, c := range s.communities {
				out.Tells = append(out.Tells, turn.Tell{Kind: protocol.KindCommunity, ID: c.String(), Msg: &protocol.NoticesWanted{}})
			}
			return out, nil
		}, nil
	}}, nil
}

// testNotification notifies the user himself, for owners who look into trouble.
func (s *State) testNotification(t turn.Turn, req protocol.SendTestNotification) (turn.Outcome, error) {
	if !t.Caller.Owner {
		return turn.Outcome{}, protocol.ErrDebugOwners
	}
	db, me, at, deliver := s.db, s.user.ID, t.Now, s.cfg.Deliver
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		n, err := db.TestNotification(ctx, me, req.Type, at)
		if err == nil && deliver != nil {
			err = deliver(ctx, n.ID)
		}
		if err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			e, err := s.event("newNotification", protocol.NewNotification{
				NotificationID: n.ID, Type: n.Type, AuthorID: n.AuthorID, Author: n.Author, CreatedAt: n.CreatedAt,
			})
			return turn.Outcome{
				Reply:  &protocol.TestNotification{Success: true, Notification: n, Message: "Test " + n.Type + " notification created"},
				Events: []protocol.Event{e},
			}, err
		}, nil
	}}, nil
}

func (s *State) clearNotifications(t turn.Turn, _ protocol.ClearNotifications) (turn.Outcome, error) {
	if !t.Caller.Owner {
		return turn.Outcome{}, protocol.ErrDebugOwners
	}
	db, me := s.db, s.user.ID
	return stored(func(ctx context.Context) (any, error) {
		c, err := db.ClearNotifications(ctx, me)
		return &c, err
	}), nil
}
