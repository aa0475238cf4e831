package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/redis/go-redis/v9"

	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// actorName is the name by which nodes reach each other's gates.
const actorName = "gate"

// forgetTimeout bounds the wait for the gates of other nodes. A node that does
// not answer in time is dead or cut off; what it knows expires by itself.
const forgetTimeout = 2 * time.Second

// loadTimeout bounds one load of an account. It does not follow the request
// that caused it, because others wait for the same load.
const loadTimeout = 5 * time.Second

// Failures with the contract's texts.
var (
	ErrRevoked = protocol.Unauthorized("Token has been revoked")
	ErrBanned  = protocol.Unauthorized("Account has been banned")
)

// Config is what a Gate works with. Both secrets, DB and Node are needed.
type Config struct {
	AccessSecret  []byte
	RefreshSecret []byte
	DB            *persistence.DB
	Node          *cluster.Node
	Log           *slog.Logger     // nil: silent
	Now           func() time.Time // nil: time.Now

	// Hashing bounds the passwords that are worked on at the same time; zero: half
	// of the CPUs, at least one.
	Hashing int
	// CacheFor is how long an account's state is believed; zero: 10 s.
	CacheFor time.Duration
	// Redis shares what nodes load, and carries changes to those that gossip does
	// not reach; nil: every node loads for itself, and the latter know after CacheFor.
	Redis redis.UniversalClient
}

// Gate establishes who calls. *Passwords does the work on passwords.
type Gate struct {
	*Passwords

	cfg      Config
	log      *slog.Logger
	now      func() time.Time
	accounts *accounts
	verified *lru.Cache[tokenKey, access]
	bulletin bulletin
}

// verifiedTokens bounds the tokens that are not verified again: some 250 bytes
// each.
const verifiedTokens = 8192

// New starts the actor "gate" on the node and returns its Gate.
func New(cfg Config) (*Gate, error) {
	if len(cfg.AccessSecret) == 0 || len(cfg.RefreshSecret) == 0 {
		return nil, errors.New("gate: both token secrets are needed")
	}
	g := &Gate{cfg: cfg, log: cfg.Log, now: cfg.Now}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if g.now == nil {
		g.now = time.Now
	}
	if cfg.Hashing <= 0 {
		cfg.Hashing = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if cfg.CacheFor <= 0 {
		cfg.CacheFor = 10 * time.Second
	}
	g.Passwords = NewPasswords(cfg.Hashing)
	var shared shelf = noShelf{}
	var err error
	if cfg.Redis != nil {
		if shared, err = newRedisShelf(cfg.Redis, cfg.AccessSecret, g.log); err != nil {
			return nil, err
		}
	}
	g.accounts = newAccounts(cfg.CacheFor, g.now, shared, g.loadAccount)
	if g.verified, err = lru.New[tokenKey, access](verifiedTokens); err != nil {
		return nil, fmt.Errorf("make token cache: %w", err)
	}
	g.bulletin = alone{}
	if cfg.Redis != nil {
		g.bulletin = newRedisBulletin(cfg.Redis, g.log, g.forget, g.accounts.forgetAll)
	}
	// Others could not tell this node while they took it for dead.
	cfg.Node.OnRejoin(g.accounts.forgetAll)
	if _, err := cfg.Node.Spawn(actorName, props(g)); err != nil {
		g.bulletin.close()
		return nil, fmt.Errorf("start gate: %w", err)
	}
	return g, nil
}

// Close ends what listens to Redis, which must still be open.
func (g *Gate) Close() { g.bulletin.close() }

// Authenticate tells who stands behind an access token. Every refusal is a
// *protocol.Error; anything else means that it could not be found out.
func (g *Gate) Authenticate(ctx context.Context, token string) (protocol.Caller, error) {
	c, err := g.readAccess(token, false)
	if err != nil {
		return protocol.Caller{}, protocol.ErrUnauthorized
	}
	account, err := g.accounts.get(ctx, c.user)
	if err != nil {
		return protocol.Caller{}, err
	}
	if err := account.refuses(c.id, c.session); err != nil {
		return protocol.Caller{}, err
	}
	return protocol.Caller{UserID: c.user, Owner: account.owner, Actions: account.actions, Session: c.session, Token: c.id}, nil
}

// loadAccount reads an account's state; nil when there is no such account.
func (g *Gate) loadAccount(user protocol.UserID) (*account, error) {
	ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
	defer cancel()
	s, err := g.cfg.DB.AccountState(ctx, user, protocol.InstantOf(g.now()))
	var known *protocol.Error
	if errors.As(err, &known) && known.Code == protocol.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a := &account{owner: s.Role == protocol.RoleOwner, banned: s.Banned, actions: s.Actions}
	a.end(s.Revoked)
	return a, nil
}

// forget drops what this node knows of a user, or of everybody.
func (g *Gate) forget(user protocol.UserID) {
	if user == protocol.Everybody {
		g.accounts.forgetAll()
		return
	}
	g.accounts.forget(user)
}

// Forget makes every node drop what it knows of a user, and waits until they
// have: from then on no node lets through what the account's rows refuse. Nodes
// that do not answer within two seconds are taken for dead.
func (g *Gate) Forget(ctx context.Context, user protocol.UserID) {
	g.accounts.forget(user)
	g.bulletin.tell(user)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetTimeout)
	defer cancel()
	var all sync.WaitGroup
	for _, m := range g.cfg.Node.View().Members {
		if m.ID == g.cfg.Node.ID() {
			continue
		}
		all.Go(func() {
			if _, err := g.cfg.Node.AskNode(ctx, m.ID, actorName, &protocol.AccountChanged{User: user, From: g.cfg.Node.ID()}); err != nil {
				g.log.Warn("gate did not answer", "node", m.ID, "error", err)
			}
		})
	}
	all.Wait()
}
