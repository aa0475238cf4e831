package notice

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

const (
	workers = 2
	// poll finds what a node has left behind that died.
	poll      = 5 * time.Second
	stepLimit = 30 * time.Second
	askLimit  = 3 * time.Second
	// stopLimit is how long a step may go on when the service stops: notifications
	// that it has made must be told, too.
	stopLimit = 3 * time.Second
	// lately is how old last_seen may be to count as online where a community was
	// loaded a short while ago: it is written every minute.
	lately = 2 * time.Minute
)

const relayName = "relay"

// Config is what a Service works with. Node and DB are needed.
type Config struct {
	Node *cluster.Node
	DB   *persistence.DB
	Log  *slog.Logger // nil: silent
	// Push stores deliveries in a transaction; nil: there is no push.
	Push func(ctx context.Context, tx pgx.Tx, list []persistence.Push) error
}

// Service makes the notifications that a node is woken for, and those that others
// have left behind.
type Service struct {
	cfg  Config
	wake chan struct{}
	ctx  context.Context // until the service stops
	stop context.CancelFunc
	done sync.WaitGroup

	steps context.Context // until steps are given up
	abort context.CancelFunc
}

// Start begins to work.
func Start(cfg Config) *Service {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{cfg: cfg, wake: make(chan struct{}, workers)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.steps, s.abort = context.WithCancel(context.Background())
	for range workers {
		s.done.Go(s.work)
	}
	return s
}

// Wake says that there is something to do. It never blocks.
func (s *Service) Wake() {
	select {
	case s.wake <- struct{}{}:
	default: // all are awake and will look again
	}
}

// Deliver has one notification pushed that somebody else has made.
func (s *Service) Deliver(ctx context.Context, id protocol.AnyID) error {
	if s.cfg.Push == nil {
		return nil
	}
	return s.cfg.DB.PushNotification(ctx, id, s.cfg.Push)
}

// Stop ends the work after the step under way.
func (s *Service) Stop() {
	s.stop()
	late := time.AfterFunc(stopLimit, s.abort)
	defer late.Stop()
	s.done.Wait()
	s.abort()
}

func (s *Service) work() {
	for {
		for s.ctx.Err() == nil && s.step() {
		}
		idle := time.NewTimer(poll + rand.N(poll))
		select {
		case <-s.wake:
		case <-idle.C:
		case <-s.ctx.Done():
			idle.Stop()
			return
		}
		idle.Stop()
	}
}

// step does one piece of work and reports whether there may be more.
func (s *Service) step() bool {
	ctx, cancel := context.WithTimeout(s.steps, stepLimit)
	defer cancel()
	now := protocol.InstantOf(time.Now())
	r, found, err := s.cfg.DB.NotifyStep(ctx, now, s.online, s.cfg.Push)
	switch {
	case err == nil:
		if found {
			s.tell(&r)
		}
		return found
	case s.steps.Err() != nil:
		return false
	case persistence.Unreachable(err):
		s.cfg.Log.Warn("notifications wait for the database", "error", err)
		return false
	}
	s.cfg.Log.Error("notifications of a message failed", "message", r.Notice.Message.String(), "error", err)
	if err := s.cfg.DB.PostponeNotice(ctx, now); err != nil {
		s.cfg.Log.Warn("cannot put off a message", "error", err)
		return false
	}
	return true
}

// online tells which members of a community are there now.
func (s *Service) online(ctx context.Context, community protocol.CommunityID) ([]protocol.UserID, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var list []protocol.UserID
	fresh := true
	reply, err := s.cfg.Node.Ask(ctx, string(protocol.KindCommunity), community.String(), &protocol.AskOnlineMembers{})
	if m, ok := reply.(*protocol.OnlineMembers); ok && err == nil {
		list, fresh = m.Users, m.Fresh
	}
	if !fresh {
		return list, nil
	}
	seen, err := s.cfg.DB.SeenMembers(ctx, community, protocol.InstantOf(time.Now().Add(-lately)))
	return append(list, seen...), err
}

// tell sends the events, and lets a channel know when nobody wanted to hear of it.
func (s *Service) tell(r *persistence.Noticed) {
	n := &r.Notice
	if n.Silent() && !n.Loud && !n.Gone {
		s.cfg.Node.Tell(string(protocol.KindChannel), n.In.Channel.String(), &protocol.NoticesUnwanted{})
	}
	if len(r.Items) == 0 {
		return
	}
	shown := n.Shown
	notices, err := protocol.NewNotices(protocol.NewNotification{
		MessageID: &n.Message, ChannelID: n.In.Channel.Ptr(), CommunityID: n.Community.Ptr(), ChannelName: n.ChannelName,
		DirectMessageGroupID: n.In.Group.Ptr(), AuthorID: shown.ID, Author: &shown,
		Message:   &protocol.NoticeMessage{ID: n.Message, Spans: json.RawMessage(n.Spans), ChannelID: n.In.Channel.Ptr(), DirectMessageGroupID: n.In.Group.Ptr()},
		CreatedAt: r.At,
	}, r.Items)
	if err != nil {
		s.cfg.Log.Error("notifications cannot be encoded", "message", n.Message.String(), "error", err)
		return
	}
	members := s.cfg.Node.View().Members
	nodes := make([]string, len(members))
	for i, m := range members {
		nodes[i] = m.ID
	}
	s.cfg.Node.TellNodes(nodes, relayName, notices)
}
