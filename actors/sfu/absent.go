//go:build noembedsfu

package sfu

import (
	"context"
	"errors"
	"io"
)

// Embedded tells whether this binary can be a LiveKit server.
const Embedded = false

// Serve tells that it can't.
func Serve(context.Context, io.Reader) error {
	return errors.New("this binary was built without LiveKit (build tag noembedsfu)")
}
