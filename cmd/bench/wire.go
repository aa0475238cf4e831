//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// wire is one keep-alive HTTP/1.1 connection with one request at a time. It
// does as little as possible, because it shares the machine with the server.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	host string
	buf  []byte
}

func dialWire(ctx context.Context, addr string) (*wire, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp4", addr)
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn, in: bufio.NewReaderSize(conn, 128<<10), host: addr}, nil
}

func (w *wire) close() { _ = w.conn.Close() }

// request makes the bytes of a request; body nil for none.
func (w *wire) request(method, path, token string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, w.host)
	if token != "" {
		b.WriteString("Authorization: Bearer " + token + "\r\n")
	}
	if body != nil {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

var errNoLength = errors.New("answer without a Content-Length")

// do sends a request and reads the answer. The body is good until the next
// call.
func (w *wire) do(request []byte) (status int, body []byte, err error) {
	if _, err := w.conn.Write(request); err != nil {
		return 0, nil, err
	}
	length := -1
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		switch {
		case status == 0:
			if len(line) < 12 {
				return 0, nil, fmt.Errorf("not an answer: %q", line)
			}
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, nil, err
			}
		case len(line) == 2:
			if length < 0 {
				return status, nil, errNoLength
			}
			if cap(w.buf) < length {
				w.buf = make([]byte, length)
			}
			w.buf = w.buf[:length]
			_, err := io.ReadFull(w.in, w.buf)
			return status, w.buf, err
		case len(line) > 16 && (line[0] == 'C' || line[0] == 'c') && strings.EqualFold(string(line[:15]), "Content-Length:"):
			if length, err = strconv.Atoi(strings.TrimSpace(string(line[15:]))); err != nil {
				return 0, nil, err
			}
		}
	}
}
