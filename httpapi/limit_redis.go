package httpapi

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	redisTimeout = 100 * time.Millisecond
	redisPause   = 2 * time.Second // after a failure, each node limits on its own
	redisPrefix  = "rookery:limit:"
)

// hitScript is hitBuckets in one round trip. The state of a key is a hash of
// h (hits), e (end of the window) and b (blocked until) per limit, in Redis'
// own time. It returns the index of the limit that refused, from 0, or -1, and
// per limit the remaining hits and the milliseconds until its end.
var hitScript = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local last = now
local refused = -1
local out = {}
for i = 0, (#ARGV / 2) - 1 do
	local max, per = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
	local s = redis.call('HMGET', KEYS[1], 'h' .. i, 'e' .. i, 'b' .. i)
	local hits, ends, blocked = tonumber(s[1] or 0), tonumber(s[2] or 0), tonumber(s[3] or 0)
	if blocked > now then
		last = math.max(last, blocked)
		refused = i
		out[#out + 1] = 0
		out[#out + 1] = blocked - now
		break
	end
	if blocked ~= 0 or ends <= now then
		hits, ends, blocked = 0, now + per, 0
	end
	hits = hits + 1
	if hits > max then
		blocked = now + per
	end
	redis.call('HSET', KEYS[1], 'h' .. i, hits, 'e' .. i, ends, 'b' .. i, blocked)
	last = math.max(last, ends, blocked)
	if hits > max then
		refused = i
		out[#out + 1] = 0
		out[#out + 1] = per
		break
	end
	out[#out + 1] = max - hits
	out[#out + 1] = ends - now
end
local ttl = redis.call('PTTL', KEYS[1])
if last - now > ttl then
	redis.call('PEXPIRE', KEYS[1], math.max(1, last - now))
end
table.insert(out, 1, refused)
return out`)

// redisLimiter counts in Redis, for all nodes together, and in this process
// while Redis does not answer.
type redisLimiter struct {
	client  redis.UniversalClient
	local   *memoryLimiter
	log     *slog.Logger
	timeout time.Duration
	paused  atomic.Int64 // until, Unix milliseconds
}

func newRedisLimiter(client redis.UniversalClient, log *slog.Logger) *redisLimiter {
	return &redisLimiter{client: client, local: newMemoryLimiter(), log: log, timeout: redisTimeout}
}

func (l *redisLimiter) hit(ctx context.Context, key string, limits []Limit, now int64) verdict {
	if now < l.paused.Load() {
		return l.local.hit(ctx, key, limits, now)
	}
	v, err := l.count(ctx, key, limits)
	if err != nil {
		l.pause(now, err)
		return l.local.hit(ctx, key, limits, now)
	}
	return v
}

// forget drops a key here and there; while Redis is away it stays there until its
// time is over.
func (l *redisLimiter) forget(ctx context.Context, key string) {
	l.local.forget(ctx, key)
	now := time.Now().UnixMilli()
	if now < l.paused.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.timeout)
	defer cancel()
	if err := l.client.Del(ctx, redisPrefix+key).Err(); err != nil {
		l.pause(now, err)
	}
}

// pause leaves Redis alone for a while. One of the many requests that find out
// says so.
func (l *redisLimiter) pause(now int64, err error) {
	if was := l.paused.Load(); was <= now && l.paused.CompareAndSwap(was, now+redisPause.Milliseconds()) {
		l.log.Warn("rate limits are not shared, Redis does not answer", "error", err)
	}
}

func (l *redisLimiter) count(ctx context.Context, key string, limits []Limit) (verdict, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.timeout)
	defer cancel()
	args := make([]any, 0, 2*maxLimits)
	for _, limit := range limits {
		args = append(args, limit.Max, limit.Per.Milliseconds())
	}
	out, err := hitScript.Run(ctx, l.client, []string{redisPrefix + key}, args...).Int64Slice()
	if err != nil {
		return verdict{}, err
	}
	v := verdict{refusedBy: int(out[0])}
	for i := 0; 2*i+2 < len(out); i++ {
		v.buckets[i] = bucketView{int(out[2*i+1]), out[2*i+2]}
	}
	return v, nil
}
