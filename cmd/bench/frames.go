//go:build linux

package main

import (
	"bytes"
	"crypto/sha1" // RFC 6455 asks for it
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/gobwas/ws"
)

// stream collects the bytes of one connection until they are whole frames.
type stream struct {
	rest []byte
}

var errHandshake = errors.New("unexpected answer to the upgrade")

// head takes the HTTP head from the front of b; nil while it is incomplete.
func (s *stream) head(b []byte) (head, after []byte) {
	b = s.with(b)
	i := bytes.Index(b, []byte("\r\n\r\n"))
	if i < 0 {
		s.keep(b)
		return nil, nil
	}
	return b[:i+4], b[i+4:]
}

// frames calls fn for every whole frame and keeps the rest.
func (s *stream) frames(b []byte, fn func(op ws.OpCode, payload []byte)) {
	b = s.with(b)
	for {
		op, p, n := frame(b)
		if n == 0 {
			break
		}
		fn(op, p)
		b = b[n:]
	}
	s.keep(b)
}

func (s *stream) with(b []byte) []byte {
	if len(s.rest) == 0 {
		return b
	}
	b = append(s.rest, b...)
	s.rest = nil
	return b
}

func (s *stream) keep(b []byte) {
	if len(b) > 0 {
		s.rest = bytes.Clone(b)
	}
}

// frame reads one frame; n is 0 while it is incomplete.
func frame(b []byte) (op ws.OpCode, payload []byte, n int) {
	if len(b) < 2 {
		return 0, nil, 0
	}
	masked, length := b[1]&0x80 != 0, int(b[1]&0x7f)
	n = 2
	switch length {
	case 126:
		if n += 2; len(b) >= n {
			length = int(binary.BigEndian.Uint16(b[2:]))
		}
	case 127:
		if n += 8; len(b) >= n {
			length = int(binary.BigEndian.Uint64(b[2:]))
		}
	}
	if masked {
		n += 4
	}
	if len(b) < n+length {
		return 0, nil, 0
	}
	payload = b[n : n+length]
	if masked {
		ws.Cipher(payload, [4]byte(b[n-4:n]), 0)
	}
	return ws.OpCode(b[0] & 0x0f), payload, n + length
}

// clientFrame is a masked frame, serverFrame one that is not.
func clientFrame(op ws.OpCode, payload string) []byte {
	return ws.MustCompileFrame(ws.MaskFrameInPlaceWith(ws.NewFrame(op, true, []byte(payload)), [4]byte{1, 2, 3, 4}))
}

func serverFrame(payload []byte) []byte { return ws.MustCompileFrame(ws.NewTextFrame(payload)) }

const upgradeKey = "dGhlIHNhbXBsZSBub25jZQ=="

func upgradeRequest(host, path, protocol string) []byte {
	b := "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + upgradeKey + "\r\n"
	if protocol != "" {
		b += "Sec-WebSocket-Protocol: " + protocol + "\r\n"
	}
	return []byte(b + "\r\n")
}

// upgradeAnswer accepts a request; socketIO says whether it is one for that
// path.
func upgradeAnswer(head []byte) (answer []byte, socketIO bool) {
	key := ""
	for line := range bytes.Lines(head) {
		name, value, _ := bytes.Cut(line, []byte{':'})
		if bytes.EqualFold(name, []byte("Sec-WebSocket-Key")) {
			key = string(bytes.TrimSpace(value))
		}
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	answer = []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n")
	return answer, bytes.HasPrefix(head, []byte("GET /socket.io/"))
}
