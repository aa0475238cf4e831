package user

import (
	"context"
	"fmt"
	"time"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// Config adjusts the kind; its zero value works.
type Config struct {
	// IdleAfter is how long an unused user without sockets stays in memory; 5 minutes when zero.
	IdleAfter time.Duration
	// Grace is how long a user without sockets still counts as online; 10 s when zero.
	Grace time.Duration
	// DeadAfter is how long a socket may go without a heartbeat; 90 s when zero.
	DeadAfter time.Duration
	// Sweep is how often sockets are looked over; 30 s when zero.
	Sweep time.Duration
	// Repeat is how often communities are told again that the user is online; 2 minutes when zero.
	Repeat time.Duration
	// Deliver has a notification pushed that the user made himself, for a test; nil:
	// there is no push.
	Deliver func(ctx context.Context, notification protocol.AnyID) error
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&c.IdleAfter, 5*time.Minute)
	set(&c.Grace, 10*time.Second)
	set(&c.DeadAfter, 90*time.Second)
	set(&c.Sweep, 30*time.Second)
	set(&c.Repeat, 2*time.Minute)
	return c
}

// New describes the kind to the loop.
func New(cfg Config) *turn.Kind[State] {
	cfg = cfg.withDefaults()
	k := &turn.Kind[State]{
		Name:      protocol.KindUser,
		Audience:  (*State).audience,
		Busy:      (*State).busy,
		IdleAfter: cfg.IdleAfter,
		Sparse:    true,
	}
	k.Load = func(ctx context.Context, env *turn.Env, t turn.Turn) (*State, error) {
		var id protocol.UserID
		if err := id.UnmarshalText([]byte(t.Self.ID)); err != nil {
			return nil, fmt.Errorf("user %q: %w", t.Self.ID, err)
		}
		s, err := load(ctx, &cfg, env.DB, id, t.Now)
		if err != nil {
			return nil, err
		}
		s.nodes = func() []string {
			members := env.Node.View().Members
			ids := make([]string, len(members))
			for i, m := range members {
				ids[i] = m.ID
			}
			return ids
		}
		return s, nil
	}
	k.Start = (*State).start

	turn.OnMessage(k, (*State).connect, turn.Structural)
	turn.OnMessage(k, (*State).syncRooms, turn.Structural)
	turn.OnMessage(k, (*State).heartbeat)
	turn.OnMessage(k, (*State).disconnect)
	turn.OnMessage(k, (*State).endSessions)
	turn.OnMessage(k, (*State).accountGone)
	turn.On(k, protocol.AccountPassword, (*State).changePassword, turn.Structural)
	turn.OnMessage(k, (*State).sweepSockets)
	turn.OnMessage(k, (*State).settle)

	turn.On(k, protocol.ProfileUpdate, (*State).updateProfile, turn.Structural)
	turn.OnMessage(k, (*State).profileChanged, turn.Structural)
	turn.On(k, protocol.AppearanceUpdate, (*State).updateAppearance, turn.Structural)

	turn.On(k, protocol.FriendAsk, (*State).requestFriend, turn.Structural)
	turn.On(k, protocol.FriendAccept, (*State).acceptFriend, turn.Structural)
	turn.On(k, protocol.FriendDecline, (*State).declineFriend, turn.Structural)
	turn.On(k, protocol.FriendCancel, (*State).cancelFriend, turn.Structural)
	turn.On(k, protocol.FriendRemove, (*State).removeFriend, turn.Structural)
	turn.On(k, protocol.BlockAdd, (*State).blockUser, turn.Structural)
	turn.On(k, protocol.BlockRemove, (*State).unblockUser, turn.Structural)

	turn.On(k, protocol.DirectCreate, (*State).createGroup, turn.Structural)

	turn.OnMessage(k, (*State).roomsMoved)
	turn.OnMessage(k, (*State).memberJoined)
	turn.OnMessage(k, (*State).memberLeft)
	turn.OnMessage(k, (*State).notMember, turn.Structural)
	turn.OnMessage(k, (*State).channelOpened)
	turn.OnMessage(k, (*State).channelClosed)
	turn.OnMessage(k, (*State).lastRead)

	turn.On(k, protocol.ReceiptCounts, (*State).countUnread)
	turn.OnMessage(k, (*State).overview)
	turn.OnMessage(k, (*State).advanceRead)
	turn.On(k, protocol.NotificationRead, (*State).readNotification)
	turn.On(k, protocol.NotificationReadAll, (*State).readNotifications)
	turn.On(k, protocol.NotificationDismiss, (*State).dismissNotification)
	turn.On(k, protocol.NotificationDelete, (*State).deleteNotification)
	turn.On(k, protocol.NotificationSettingsUpdate, (*State).updateNotificationSettings)
	turn.On(k, protocol.NotificationTest, (*State).testNotification)
	turn.On(k, protocol.NotificationClear, (*State).clearNotifications)

	turn.OnMessage(k, (*State).askOnline)
	turn.OnMessage(k, (*State).presenceStale)
	turn.OnMessage(k, (*State).graceOver)
	turn.OnMessage(k, (*State).announcePresence)
	turn.OnMessage(k, (*State).noteSeen)
	return k
}
