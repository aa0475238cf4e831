package protocol

import "time"

// Lifetimes of tokens. Clients count on the hour: a shorter one costs them a
// failed write each time (contract b-client-expectations 3).
const (
	AccessLifetime  = time.Hour
	RefreshLifetime = 30 * 24 * time.Hour
)

// Login is the body of login. Every failure is the same 401, so nothing is
// validated before the handler.
type Login struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// Tokens is the body of login and refresh. The refresh token is shown to
// desktop clients only; browsers have the cookie.
type Tokens struct {
	AccessToken  string `json:"accessToken"`
	RefreshToken string `json:"refreshToken,omitempty"`
}

// Refresh is the optional body of refresh and logout.
type Refresh struct {
	RefreshToken string `json:"refreshToken"`
}

// Text is a body with one text.
type Text struct {
	Message string `json:"message"`
}

// Session is one login as its user sees it.
type Session struct {
	ID         AnyID   `json:"id"` // jti of the refresh token; changes at every rotation
	DeviceName string  `json:"deviceName"`
	IPAddress  *string `json:"ipAddress"`
	CreatedAt  Instant `json:"createdAt"`
	LastUsedAt Instant `json:"lastUsedAt"`
	ExpiresAt  Instant `json:"expiresAt"`
	IsCurrent  bool    `json:"isCurrent"`
}

// RevokeSession ends one login.
type RevokeSession struct {
	SessionID AnyID `path:"sessionId" json:"sessionId" rule:"pathUUID"`
}

// RevokedSessions is the answer to ending all other logins.
type RevokedSessions struct {
	Message      string `json:"message"`
	RevokedCount int    `json:"revokedCount"`
}

// Rows of sessions. They set cookies and read headers, so the HTTP edge
// answers them itself; sockets, which have neither, get their tokens in the body.
var (
	SessionLogin = Define[Login, Tokens](Operation{
		Name: "session.login", Method: "POST", Path: "/api/auth/login", Status: 200, Public: true, Rate: RateLogin, Home: KindEdge,
	})
	SessionRefresh = Define[Refresh, Tokens](Operation{
		Name: "session.refresh", Method: "POST", Path: "/api/auth/refresh", Status: 200, Public: true, Rate: RateLogin, Home: KindEdge,
	})
	SessionLogout = Define[Refresh, Text](Operation{
		Name: "session.logout", Method: "POST", Path: "/api/auth/logout", Rate: RateLogout, Home: KindEdge,
	})
	SessionList = Define[None, []Session](Operation{
		Name: "session.list", Method: "GET", Path: "/api/auth/sessions", Home: KindEdge,
	})
	SessionRevoke = Define[RevokeSession, Text](Operation{
		Name: "session.revoke", Method: "DELETE", Path: "/api/auth/sessions/{sessionId}", Home: KindEdge,
	})
	SessionRevokeOthers = Define[None, RevokedSessions](Operation{
		Name: "session.revokeOthers", Method: "DELETE", Path: "/api/auth/sessions", Home: KindEdge,
	})
)

// AccountChanged tells the gate of every node to forget what it knows of a
// user, or of Everybody: role, ban or revocations changed. Answered with *Done.
type AccountChanged struct {
	User UserID `json:"u"`
	From string `json:"f"` // node that tells it
}

// Everybody stands for all users where users are named whose accounts changed.
var Everybody UserID

// PagesStale tells the gate of every node that any page of messages that the node
// keeps may show what is gone.
type PagesStale struct{}

var (
	_ = wired[AccountChanged]("accountChanged")
	_ = wired[PagesStale]("pagesStale")
)
