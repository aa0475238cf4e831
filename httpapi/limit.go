package httpapi

import (
	"context"
	"hash/maphash"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// Limit is one bucket: at most Max hits in a window that begins with the first
// of them. Who goes over it is shut out for one window; hits meanwhile don't
// prolong that.
type Limit struct {
	Name string // short, medium, long: part of the headers
	Max  int
	Per  time.Duration
}

// The limits of the contract (0.9), by class.
var limitsOf = map[protocol.RateClass][]Limit{
	protocol.RateDefault:  buckets(20, 500),
	protocol.RateLogin:    buckets(4, 10),
	protocol.RateLogout:   buckets(2, 5),
	protocol.RateRegister: buckets(3, 10),
	protocol.RateSetup:    buckets(2, 5),
	protocol.RateInvite:   buckets(5, 20),
	protocol.RatePassword: buckets(2, 5),
	protocol.RateReset:    buckets(3, 10),
	protocol.RateExport:   {{"short", 1, time.Second}, {"medium", 3, time.Minute}, {"long", 10, time.Hour}},
}

func buckets(perSecond, perMinute int) []Limit {
	return []Limit{{"short", perSecond, time.Second}, {"medium", 100, 10 * time.Second}, {"long", perMinute, time.Minute}}
}

// maxLimits bounds the buckets of one key.
const maxLimits = 3

// bucket is the state of a Limit for one key.
type bucket struct {
	hits    int
	ends    int64 // of the window, Unix milliseconds
	blocked int64 // until; 0: not
}

// verdict is what came of a hit. Buckets are tested in order; those behind the
// one that refused are not touched.
type verdict struct {
	refusedBy int // index of the limit; -1: allowed
	buckets   [maxLimits]bucketView
}

// bucketView is what a client is told of a bucket.
type bucketView struct {
	remaining int
	reset     int64 // milliseconds until the window, or the block, ends
}

// limiter counts hits.
type limiter interface {
	hit(ctx context.Context, key string, limits []Limit, now int64) verdict
	// forget drops what was counted for a key.
	forget(ctx context.Context, key string)
}

// hitBuckets counts one hit against the buckets of a key.
func hitBuckets(state *[maxLimits]bucket, limits []Limit, now int64) verdict {
	v := verdict{refusedBy: -1}
	for i, l := range limits {
		b := &state[i]
		if b.blocked > now {
			v.refusedBy, v.buckets[i] = i, bucketView{0, b.blocked - now}
			return v
		}
		if b.blocked != 0 || b.ends <= now {
			*b = bucket{ends: now + l.Per.Milliseconds()}
		}
		if b.hits++; b.hits > l.Max {
			b.blocked = now + l.Per.Milliseconds()
			v.refusedBy, v.buckets[i] = i, bucketView{0, b.blocked - now}
			return v
		}
		v.buckets[i] = bucketView{l.Max - b.hits, b.ends - now}
	}
	return v
}

// Size of the in-process limiter: at most 64 * 4,096 keys of about 200 bytes.
const (
	limitShards = 64
	shardKeys   = 4096
	evictSample = 16
)

// memoryLimiter counts in this process.
type memoryLimiter struct {
	seed   maphash.Seed
	shards [limitShards]limitShard
}

type limitShard struct {
	mu   sync.Mutex
	keys map[string]*[maxLimits]bucket
}

func newMemoryLimiter() *memoryLimiter {
	m := &memoryLimiter{seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].keys = map[string]*[maxLimits]bucket{}
	}
	return m
}

func (m *memoryLimiter) hit(_ context.Context, key string, limits []Limit, now int64) verdict {
	s := &m.shards[maphash.String(m.seed, key)%limitShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.keys[key]
	if state == nil {
		if len(s.keys) >= shardKeys {
			s.evict()
		}
		state = &[maxLimits]bucket{}
		s.keys[key] = state
	}
	return hitBuckets(state, limits, now)
}

func (m *memoryLimiter) forget(_ context.Context, key string) {
	s := &m.shards[maphash.String(m.seed, key)%limitShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, key)
}

// evict drops, of a few random keys, the one that matters least: the one whose
// last window or block ends first.
func (s *limitShard) evict() {
	victim, ends, seen := "", int64(math.MaxInt64), 0
	for key, state := range s.keys {
		last := int64(0)
		for _, b := range state {
			last = max(last, b.ends, b.blocked)
		}
		if last < ends {
			victim, ends = key, last
		}
		if seen++; seen == evictSample {
			break
		}
	}
	delete(s.keys, victim)
}

// Header names per bucket, in canonical form.
type limitHeaders struct{ limit, remaining, reset, retry string }

var headersOf = func() map[string]limitHeaders {
	m := map[string]limitHeaders{}
	for _, name := range []string{"short", "medium", "long"} {
		m[name] = limitHeaders{
			http.CanonicalHeaderKey("X-RateLimit-Limit-" + name), http.CanonicalHeaderKey("X-RateLimit-Remaining-" + name),
			http.CanonicalHeaderKey("X-RateLimit-Reset-" + name), http.CanonicalHeaderKey("Retry-After-" + name),
		}
	}
	return m
}()

// announce tells the client where it stands, and reports whether it may go on.
func (v *verdict) announce(h http.Header, limits []Limit) bool {
	if v.refusedBy >= 0 {
		wait := []string{seconds(v.buckets[v.refusedBy].reset)}
		h[headersOf[limits[v.refusedBy].Name].retry] = wait
		h["Retry-After"] = wait
		return false
	}
	for i, l := range limits {
		names := headersOf[l.Name]
		h[names.limit] = []string{strconv.Itoa(l.Max)}
		h[names.remaining] = []string{strconv.Itoa(v.buckets[i].remaining)}
		h[names.reset] = []string{seconds(v.buckets[i].reset)}
	}
	return true
}

// seconds rounds up, so that nobody is told to come too early.
func seconds(ms int64) string { return strconv.FormatInt((ms+999)/1000, 10) }
