package protocol

import (
	"context"
	"encoding/json"
)

// Input is a request as an edge received it, before it has a type. REST brings
// path and query beside the body; sockets put everything into Body.
type Input struct {
	Path  map[string]string // parameters of the path, percent-decoded
	Query map[string]string // last value of each query parameter
	Body  json.RawMessage   // well-formed JSON; empty: no body
}

type requestKey struct{}

// WithRequestID attaches the id under which a request is logged.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestID is the id under which the request is logged; empty outside of one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// Peer is the client behind a request that becomes a socket, as an edge found
// it out.
type Peer struct {
	Address string // after proxies
	Agent   string // User-Agent
	// Hold counts an open socket against what the client may have, until release
	// is called: against its address, or, with a user, against that user.
	Hold func(user UserID) (release func())
}

type peerKey struct{}

// WithPeer attaches the client.
func WithPeer(ctx context.Context, p Peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

// PeerOf is the client behind the request. Its Hold is never nil.
func PeerOf(ctx context.Context) Peer {
	p, _ := ctx.Value(peerKey{}).(Peer)
	if p.Hold == nil {
		p.Hold = func(UserID) func() { return func() {} }
	}
	return p
}
