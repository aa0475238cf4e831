package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// Config is what the edge works with. The zero value answers what needs nobody
// else: health, the front page, errors.
type Config struct {
	// Operations are the rows that are served; nil: the whole table.
	Operations []*protocol.Operation
	// Debug serves the rows for debugging clients; otherwise they are unknown routes.
	Debug bool
	// Do performs an operation; its errors are *protocol.Error.
	Do func(ctx context.Context, op *protocol.Operation, caller protocol.Caller, in protocol.Input) (any, error)
	// Gate establishes who calls; nil: nobody gets in.
	Gate Gate
	// DB keeps login sessions; without it their routes are unavailable.
	DB *persistence.DB
	// EndSockets closes sockets of a user: of one session or token, or all. It may
	// be nil.
	EndSockets func(ctx context.Context, user protocol.UserID, end protocol.EndSessions) error

	// SocketIO and NativeWS take over upgrade requests of /socket.io/ and /ws. The
	// request's context has a protocol.Peer.
	SocketIO func(w http.ResponseWriter, r *http.Request)
	NativeWS func(w http.ResponseWriter, r *http.Request)
	// Signal takes over requests below /rtc, of voice; nil: there is none. Their
	// context has a protocol.Peer too.
	Signal http.HandlerFunc
	// Routes are ordinary handlers for what does not fit the table.
	Routes []Route

	// Blobs are the bytes of files; without them their routes are unavailable.
	Blobs *persistence.Blobs
	// Files checks signed links to files.
	Files protocol.FileSigner
	// VideoStored is told of every video that was uploaded; may be nil.
	VideoStored func(ctx context.Context, id protocol.FileID) error

	// CORSOrigins are the origins that may read answers; see ParseOrigins.
	CORSOrigins []string
	// TrustProxy tells which proxies are believed; the zero value: none.
	TrustProxy TrustProxy
	// SecureCookies marks cookies Secure: the site is served over TLS.
	SecureCookies bool
	// NoRateLimits turns off all limits on requests and upgrades.
	NoRateLimits bool
	// Redis shares the limits between nodes; nil: each node on its own.
	Redis redis.UniversalClient
	// SocketsPerAddress and SocketsPerUser bound the open sockets of this node;
	// zero: 2,000 and 100, negative: no bound.
	SocketsPerAddress int
	SocketsPerUser    int

	// Health lists the parts that GET /api/health reports on.
	Health []HealthPart
	// Ready reports whether this node should get traffic; nil: always.
	Ready func(ctx context.Context) error
	// Instance describes the instance for the front page and health; may be nil.
	Instance func(ctx context.Context) InstanceInfo
	// Version is shown on the front page.
	Version string
	// APIDocs serves the description of the API, for machines and for people.
	APIDocs bool

	Log *slog.Logger     // nil: silent
	Now func() time.Time // nil: time.Now
}

// Gate is what the edge needs to know about who calls. *gate.Gate is one.
type Gate interface {
	// Authenticate tells who stands behind an access token.
	Authenticate(ctx context.Context, token string) (protocol.Caller, error)
	// ReadAccess reads an access token that may have expired or been revoked.
	ReadAccess(token string) (protocol.Caller, time.Time, error)
	// ReadRefresh checks signature and lifetime of a refresh token.
	ReadRefresh(token string) (protocol.UserID, protocol.AnyID, error)
	IssueAccess(user protocol.UserID, username, role string, session protocol.SessionID) (string, error)
	IssueRefresh(user protocol.UserID) (string, protocol.AnyID, error)
	// Verify checks a password; an empty hash never fits and takes as long.
	Verify(ctx context.Context, hash, password string) (ok, renew bool, err error)
	Hash(ctx context.Context, password string) (string, error)
	// Forget makes every node drop what it knows of a user.
	Forget(ctx context.Context, user protocol.UserID)
}

// Route is an ordinary handler. Its path has the form of the operations table;
// parameters are read with Param.
type Route struct {
	Method  string
	Path    string
	Handler http.HandlerFunc
	// Authenticated routes get the caller by CallerOf.
	Authenticated bool
	// Rate is the limits that apply; RateExempt: none.
	Rate protocol.RateClass
	// RawBody leaves the body unread and unlimited.
	RawBody bool
}

// InstanceInfo is what the front page and health tell about the instance.
type InstanceInfo struct {
	Name       string
	NeedsSetup bool
}

// HealthPart is something the server depends on.
type HealthPart struct {
	Name  string
	Check func(ctx context.Context) error
}
