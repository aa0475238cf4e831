package persistence

import (
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
)

// Unreachable reports whether err says that the database is away or too busy,
// rather than that something is wrong with what was asked: the same request may
// succeed later.
func Unreachable(err error) bool {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return transientCode(pe)
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
