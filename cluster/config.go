package cluster

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Config describes a node. The zero value is a single node without kinds:
// nothing listens, everything works inside the process.
type Config struct {
	Log *slog.Logger // default: slog.Default()

	// Listen is host:port of gossip (TCP and UDP). Remoting takes the next free
	// TCP port above it on the same host; with port 0 both are chosen freely.
	// Empty: single node, no sockets.
	Listen string
	// Advertise is the host others reach this node at. Default: the host of
	// Listen, or, when that is a wildcard, the first private address.
	Advertise string
	// Join lists gossip addresses of other members (host:port, DNS names are
	// resolved each time). Unreachable seeds do not prevent the start.
	Join []string
	// Secret encrypts and authenticates gossip: 16, 24 or 32 bytes (AES).
	Secret []byte
	// TLS secures remoting in both directions. It needs Certificates and
	// RootCAs; clients are verified against ClientCAs, default RootCAs.
	TLS *tls.Config

	Kinds    []Kind
	Registry *Registry // default: an empty NewRegistry

	// PeerLimit bounds the messages that wait to be written to one peer
	// (default 16,384), PeerBytes their size (default 32 MiB).
	PeerLimit int
	PeerBytes int

	// Prepare, when set, is called before the node joins: the place to Spawn
	// named actors and to hand the *Node to whatever Kind.Props needs, because
	// activations may be asked of the node before Start returns.
	Prepare func(*Node) error
}

// Kind is a sort of virtual actor. All nodes that have it in their Config share
// its identities.
type Kind struct {
	// Name is short, part of every address and of gossip; no "/".
	Name string
	// Props describes one activation. It is called once for each, must not
	// block, and should return the same value for every id, which takes much less
	// memory: the actor learns its id from Identity.
	Props func(id string) *actor.Props
	// IdleAfter is how long an activation may go without a message before it is
	// asked to stop; 0 means never.
	IdleAfter time.Duration
}

// Timings and bounds that are not for the operator to choose.
const (
	defaultAskTimeout = 5 * time.Second
	tryTimeout        = time.Second            // first sign of life of an ask to another node
	acceptAfter       = 200 * time.Millisecond // then the owner tells that it has the ask in hand
	queryAfter        = 5 * time.Second        // accepted asks are checked on this often
	releaseTimeout    = 2 * time.Second        // for an activation to flush and stop
	barrierWindow     = 15 * time.Second       // after a change of view, in which previous owners are asked
	barrierTimeout    = time.Second
	cededFor          = time.Second

	defaultPeerLimit = 16384
	defaultPeerBytes = 32 << 20
	maxMessage       = 16 << 20 // one value, encoded
	maxGRPCMessage   = 80 << 20 // a batch holds at most PeerBytes plus replies
	maxHostCalls     = 1 << 16  // asks that one actor may owe an answer
)

func (c Config) withDefaults() (Config, error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Registry == nil {
		c.Registry = NewRegistry()
	}
	if c.PeerLimit <= 0 {
		c.PeerLimit = defaultPeerLimit
	}
	if c.PeerBytes <= 0 {
		c.PeerBytes = defaultPeerBytes
	}
	c.PeerBytes = min(c.PeerBytes, defaultPeerBytes)
	seen := map[string]bool{}
	for _, k := range c.Kinds {
		switch {
		case k.Name == "" || strings.Contains(k.Name, "/"):
			return c, fmt.Errorf("cluster: bad kind name %q", k.Name)
		case seen[k.Name]:
			return c, fmt.Errorf("cluster: kind %q is given twice", k.Name)
		case k.Props == nil:
			return c, fmt.Errorf("cluster: kind %q has no Props", k.Name)
		}
		seen[k.Name] = true
	}
	switch len(c.Secret) {
	case 0, 16, 24, 32:
	default:
		return c, errors.New("cluster: the secret must have 16, 24 or 32 bytes")
	}
	if c.Listen == "" && len(c.Join) > 0 {
		return c, errors.New("cluster: Join needs Listen")
	}
	return c, nil
}
