package gate

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// Lifetimes of tokens.
const (
	AccessLifetime  = protocol.AccessLifetime
	RefreshLifetime = protocol.RefreshLifetime
)

var errBadToken = errors.New("token is not valid")

// accessClaims is the body of an access token.
type accessClaims struct {
	Username string `json:"username"`
	Role     string `json:"role"`
	Session  string `json:"sid"`
	jwt.RegisteredClaims
}

// access is what an access token says.
type access struct {
	user    protocol.UserID
	id      protocol.AnyID
	session protocol.SessionID
	expires int64 // unix seconds
}

// tokenKey stands for a whole token, payload and signature: shorter than the
// token, and nobody finds another token with the same.
type tokenKey [sha256.Size]byte

// IssueAccess mints an access token for a login session.
func (g *Gate) IssueAccess(user protocol.UserID, username, role string, session protocol.SessionID) (string, error) {
	now := g.now()
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, accessClaims{
		Username: username, Role: role, Session: session.String(),
		RegisteredClaims: claims(user, protocol.NewRandomID[struct{}](), now, AccessLifetime),
	})
	s, err := t.SignedString(g.cfg.AccessSecret)
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	return s, nil
}

// IssueRefresh mints a refresh token with a new random id, and returns both.
func (g *Gate) IssueRefresh(user protocol.UserID) (token string, id protocol.AnyID, err error) {
	raw := protocol.NewRandomID[struct{}]()
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, claims(user, raw, g.now(), RefreshLifetime))
	token, err = t.SignedString(g.cfg.RefreshSecret)
	if err != nil {
		return "", id, fmt.Errorf("sign refresh token: %w", err)
	}
	return token, protocol.AnyID(raw), nil
}

func claims[T any](user protocol.UserID, id protocol.ID[T], now time.Time, life time.Duration) jwt.RegisteredClaims {
	return jwt.RegisteredClaims{
		Subject: user.String(), ID: id.String(), IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
	}
}

// ReadRefresh checks the signature and the lifetime of a refresh token. Whether
// it may still be used only its row can tell.
func (g *Gate) ReadRefresh(token string) (user protocol.UserID, id protocol.AnyID, err error) {
	var c jwt.RegisteredClaims
	if err := g.read(token, &c, g.cfg.RefreshSecret, false); err != nil {
		return user, id, err
	}
	return ids(c)
}

// ReadAccess reads an access token that may have expired or been revoked. It is
// good for ending what the token belongs to, and for nothing else.
func (g *Gate) ReadAccess(token string) (c protocol.Caller, expires time.Time, err error) {
	a, err := g.readAccess(token, true)
	if err != nil {
		return c, expires, err
	}
	return protocol.Caller{UserID: a.user, Session: a.session, Token: a.id}, time.Unix(a.expires, 0), nil
}

// readAccess reads an access token. What was verified once is remembered: a
// client sends the same token for an hour, and checking it again would be most of
// what a request costs here.
func (g *Gate) readAccess(token string, expired bool) (access, error) {
	key := tokenKey(sha256.Sum256([]byte(token)))
	if a, ok := g.verified.Get(key); ok && (expired || g.now().Before(time.Unix(a.expires, 0))) {
		return a, nil
	}
	a, err := g.verify(token, expired)
	if err == nil && !expired {
		g.verified.Add(key, a)
	}
	return a, err
}

func (g *Gate) verify(token string, expired bool) (access, error) {
	var c accessClaims
	if err := g.read(token, &c, g.cfg.AccessSecret, expired); err != nil {
		return access{}, err
	}
	a := access{expires: c.ExpiresAt.Unix()}
	var err error
	if a.user, a.id, err = ids(c.RegisteredClaims); err != nil {
		return access{}, err
	}
	if err := a.session.UnmarshalText([]byte(c.Session)); err != nil {
		return access{}, errBadToken
	}
	return a, nil
}

// read verifies a token: HS256 and nothing else, an expiry, no leeway.
func (g *Gate) read(token string, into jwt.Claims, secret []byte, expired bool) error {
	options := []jwt.ParserOption{jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(g.now)}
	if expired {
		options = append(options, jwt.WithoutClaimsValidation())
	} else {
		options = append(options, jwt.WithExpirationRequired())
	}
	if _, err := jwt.ParseWithClaims(token, into, func(*jwt.Token) (any, error) { return secret, nil }, options...); err != nil {
		return errBadToken
	}
	if at, err := into.GetExpirationTime(); err != nil || at == nil {
		return errBadToken
	}
	return nil
}

func ids(c jwt.RegisteredClaims) (user protocol.UserID, id protocol.AnyID, err error) {
	if err := user.UnmarshalText([]byte(c.Subject)); err != nil {
		return user, id, errBadToken
	}
	if err := id.UnmarshalText([]byte(c.ID)); err != nil {
		return user, id, errBadToken
	}
	return user, id, nil
}
