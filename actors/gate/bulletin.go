package gate

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rookery-chat/rookery/protocol"
)

// bulletin is the second way by which gates hear that an account changed. The
// first, a question to each node, does not reach a node that gossip has lost.
type bulletin interface {
	// tell makes a change known to the gates of other nodes; it does not wait for
	// them and may fail.
	tell(user protocol.UserID)
	close()
}

// alone is the bulletin of nodes that share nothing but their gossip.
type alone struct{}

func (alone) tell(protocol.UserID) {}
func (alone) close()               {}

const (
	redisChannel = "rookery:account"
	redisTimeout = 100 * time.Millisecond
	redisPause   = 2 * time.Second // between attempts while Redis is away
	// redisQueue bounds the changes that wait to be told; those behind it are
	// dropped, as if Redis were away.
	redisQueue = 1024
)

// redisBulletin tells by Redis' publish and subscribe. Nothing waits for it: a
// change that it loses is known by the other way, or after the cache's 10 s.
type redisBulletin struct {
	client redis.UniversalClient
	log    *slog.Logger
	queue  chan protocol.UserID
	stop   context.CancelFunc
	done   chan struct{}

	heard func(protocol.UserID) // an account changed
	lost  func()                // there was nothing to hear for a while
}

func newRedisBulletin(client redis.UniversalClient, log *slog.Logger, heard func(protocol.UserID), lost func()) *redisBulletin {
	ctx, stop := context.WithCancel(context.Background())
	b := &redisBulletin{
		client: client, log: log, queue: make(chan protocol.UserID, redisQueue), stop: stop, done: make(chan struct{}, 2),
		heard: heard, lost: lost,
	}
	go b.publish(ctx)
	go b.listen(ctx)
	return b
}

func (b *redisBulletin) tell(user protocol.UserID) {
	select {
	case b.queue <- user:
	default:
	}
}

func (b *redisBulletin) close() {
	b.stop()
	<-b.done
	<-b.done
}

// publish sends what is queued. While Redis is away it is dropped: who missed it
// forgets everything when he is back (see listen).
func (b *redisBulletin) publish(ctx context.Context) {
	defer func() { b.done <- struct{}{} }()
	var until time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case user := <-b.queue:
			if time.Now().Before(until) {
				continue
			}
			once, cancel := context.WithTimeout(ctx, redisTimeout)
			err := b.client.Publish(once, redisChannel, user.String()).Err()
			cancel()
			if err != nil && ctx.Err() == nil {
				until = time.Now().Add(redisPause)
				b.log.Warn("account changes are not told by Redis, it does not answer", "error", err)
			}
		}
	}
}

// listen hears what others tell. After each (re)connection it takes the worst for
// granted: that something was missed.
func (b *redisBulletin) listen(ctx context.Context) {
	defer func() { b.done <- struct{}{} }()
	for ctx.Err() == nil {
		sub := b.client.Subscribe(ctx, redisChannel)
		// Receive waits for the connection and not for the context.
		closed := context.AfterFunc(ctx, func() { _ = sub.Close() })
		for {
			m, err := sub.Receive(ctx)
			if err != nil {
				break
			}
			switch m := m.(type) {
			case *redis.Subscription:
				b.lost()
			case *redis.Message:
				if user, err := protocol.ParseID[struct{}](m.Payload); err == nil {
					b.heard(protocol.UserID(user))
				}
			}
		}
		closed()
		_ = sub.Close()
		select {
		case <-ctx.Done():
		case <-time.After(redisPause):
		}
	}
}
