package gate

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rookery-chat/rookery/protocol"
)

// shelf is where nodes that share one leave accounts for each other, so that a
// user costs Postgres one load for all nodes and not one for each.
type shelf interface {
	// get returns what some node has put there and until when that is good, by the
	// clock of that node; false when there is nothing or it can't be had.
	get(user protocol.UserID) (*account, time.Time, bool)
	// put may fail.
	put(user protocol.UserID, a *account, until time.Time)
}

// noShelf is the shelf of nodes without Redis.
type noShelf struct{}

func (noShelf) get(protocol.UserID) (*account, time.Time, bool) { return nil, time.Time{}, false }
func (noShelf) put(protocol.UserID, *account, time.Time)        {}

const (
	shelfPrefix = "rookery:account:"
	// shelfSlack is how far the clocks of two nodes may differ before they stop
	// using each other's entries.
	shelfSlack = time.Second
	// maxEnded bounds the revocations of an entry: whoever has more is loaded by
	// every node itself.
	maxEnded = 1000
)

// redisShelf keeps accounts in Redis, signed: who can write there must not be
// able to make himself owner.
type redisShelf struct {
	client redis.UniversalClient
	key    []byte
	log    *slog.Logger
	paused atomic.Int64 // until, Unix milliseconds
}

func newRedisShelf(client redis.UniversalClient, secret []byte, log *slog.Logger) (*redisShelf, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "rookery account cache", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive key of the account cache: %w", err)
	}
	return &redisShelf{client: client, key: key, log: log}, nil
}

// shelved is an account as Redis has it, behind its signature.
type shelved struct {
	Until   int64              `json:"until"` // Unix milliseconds
	Missing bool               `json:"missing,omitempty"`
	Owner   bool               `json:"owner,omitempty"`
	Banned  bool               `json:"banned,omitempty"`
	Actions protocol.ActionSet `json:"actions,omitempty"`
	Ended   []protocol.AnyID   `json:"ended,omitempty"`
}

func (r *redisShelf) get(user protocol.UserID) (*account, time.Time, bool) {
	var raw []byte
	if !r.ask(func(ctx context.Context) (err error) {
		if raw, err = r.client.Get(ctx, shelfPrefix+user.String()).Bytes(); err == redis.Nil { //nolint:errorlint // it is never wrapped
			return nil
		}
		return err
	}) || len(raw) < sha256.Size {
		return nil, time.Time{}, false
	}
	mac, text := raw[:sha256.Size], raw[sha256.Size:]
	var s shelved
	if !hmac.Equal(mac, r.sign(user, text)) || json.Unmarshal(text, &s) != nil {
		return nil, time.Time{}, false
	}
	until := time.UnixMilli(s.Until)
	if s.Missing {
		return nil, until, true
	}
	a := &account{owner: s.Owner, banned: s.Banned, actions: s.Actions}
	a.end(s.Ended)
	return a, until, true
}

func (r *redisShelf) put(user protocol.UserID, a *account, until time.Time) {
	s := shelved{Until: until.UnixMilli(), Missing: a == nil}
	if a != nil {
		if len(a.ended) > maxEnded {
			return
		}
		s.Owner, s.Banned, s.Actions = a.owner, a.banned, a.actions
		for id := range a.ended {
			s.Ended = append(s.Ended, id)
		}
	}
	text, err := json.Marshal(&s)
	if err != nil {
		panic("gate: " + err.Error()) // plain data of ours
	}
	entry := append(r.sign(user, text), text...)
	r.ask(func(ctx context.Context) error {
		return r.client.Set(ctx, shelfPrefix+user.String(), entry, max(time.Until(until), time.Millisecond)).Err()
	})
}

// sign binds an entry to its user.
func (r *redisShelf) sign(user protocol.UserID, text []byte) []byte {
	h := hmac.New(sha256.New, r.key)
	_, _ = h.Write(user[:])
	_, _ = h.Write(text)
	return h.Sum(nil)
}

// ask leaves Redis alone for a while after it did not answer.
func (r *redisShelf) ask(f func(context.Context) error) bool {
	if time.Now().UnixMilli() < r.paused.Load() {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), redisTimeout)
	defer cancel()
	if err := f(ctx); err != nil {
		r.paused.Store(time.Now().Add(redisPause).UnixMilli())
		r.log.Warn("accounts are not shared by Redis, it does not answer", "error", err)
		return false
	}
	return true
}
