package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// Limits of guesses at one account. From one network they grow with the time that
// somebody goes on, and a success ends them. What all networks together may try
// does not count where the account has been entered before: who attacks from
// many addresses cannot lock its owner out there.
var (
	guessLimits = []Limit{{"short", 10, time.Minute}, {"medium", 20, 10 * time.Minute}, {"long", 50, time.Hour}}
	alienLimits = []Limit{{"long", 100, time.Hour}}
)

// guess is one attempt to enter an account, existing or not.
type guess struct {
	account string // key of the limiter
	network string
}

func (g guess) key() string { return g.account + "|" + g.network }

// guess counts an attempt before the password is looked at, so that parallel ones
// don't get past. Its answers are the same for names that nobody has.
func (s *Server) guess(x *exchange, username string, user protocol.UserID) (guess, error) {
	sum := sha256.Sum256([]byte(username))
	g := guess{account: "guess|" + hex.EncodeToString(sum[:16]), network: x.caller.Network()}
	if s.limiter == nil {
		return g, nil
	}
	if s.exceeds(x, g.key(), guessLimits) {
		return g, protocol.ErrRateLimited
	}
	known, err := s.cfg.DB.KnownPlace(x.r.Context(), user, g.network)
	if err != nil {
		return g, err
	}
	// A refresh token, even one that is over, shows that its bearer has been here.
	if owner, _, err := s.cfg.Gate.ReadRefresh(cookie(x.r, refreshCookie)); err == nil && owner == user {
		known = true
	}
	if !known && s.exceeds(x, g.account, alienLimits) {
		return g, protocol.ErrRateLimited
	}
	return g, nil
}

// guessed forgets the attempts of one network after a success.
func (s *Server) guessed(ctx context.Context, g guess) {
	if s.limiter != nil {
		s.limiter.forget(ctx, g.key())
	}
}

// exceeds counts a hit; when it is refused, the client is told how long to wait.
func (s *Server) exceeds(x *exchange, key string, limits []Limit) bool {
	v := s.limiter.hit(x.r.Context(), key, limits, s.now().UnixMilli())
	if v.refusedBy < 0 {
		return false
	}
	h := x.w.Header()
	for _, names := range headersOf { // of the route, which let the request through
		for _, name := range []string{names.limit, names.remaining, names.reset} {
			delete(h, http.CanonicalHeaderKey(name))
		}
	}
	v.announce(h, limits)
	return true
}
