// Package wirepb holds the protobuf frame in which values travel between
// nodes. It is the only generated Go of the project.
//
// The remoting layer carries protobuf messages only. Instead of a second model
// of everything in protobuf, one Envelope carries the name of a Go type and its
// CBOR encoding; package cluster packs and unpacks it.
//
// # Concurrency
//
// An Envelope is immutable once it was handed to a send: the same pointer may
// be on its way to several nodes, and is marshalled later on other goroutines.
//
// # What it does not do
//
// It knows no message of the platform and no routing rule.
//
// # Decisions
//
//   - Field numbers are never reused; unknown fields are ignored, so that nodes
//     of two versions can be members of one cluster during a rolling update
//     (2026-11).
//   - protoc-gen-go is pinned in the go:generate line and the result is
//     committed; building needs no protoc (2026-11).
package wirepb

//go:generate sh -c "GOBIN=$(pwd)/.bin go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12 && PATH=$(pwd)/.bin:$PATH protoc --go_out=. --go_opt=paths=source_relative envelope.proto; rm -rf .bin"
