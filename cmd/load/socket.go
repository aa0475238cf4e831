package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// Failures of a socket.
var (
	ErrClosed = errors.New("socket closed")
	ErrNoAck  = errors.New("no ack: exception")
)

// Socket is one Socket.IO connection.
type Socket struct {
	conn net.Conn
	in   *bufio.Reader
	on   func(name string, payload json.RawMessage)
	raw  func(frame []byte)

	writing sync.Mutex
	mu      sync.Mutex
	acks    map[int]chan json.RawMessage
	next    int
	err     error
	done    chan struct{}
}

// Options of Dial.
type Options struct {
	Token   string
	From    string // source address, so that many sockets don't run out of ports
	OnEvent func(name string, payload json.RawMessage)
	// OnFrame gets every frame with an event as it came, instead of OnEvent:
	// cheap enough for thousands of sockets.
	OnFrame func(frame []byte)
	// ReadBuffer is the size of the kernel's receive buffer; 0: the system's.
	ReadBuffer int
}

// Dial opens host:port, upgrades and connects to the main namespace. The error
// of a refused CONNECT carries the server's text.
func Dial(ctx context.Context, addr string, o Options) (*Socket, error) {
	d := ws.Dialer{Timeout: 30 * time.Second}
	if o.From != "" {
		nd := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(o.From)}}
		d.NetDial = nd.DialContext
	}
	conn, br, _, err := d.Dial(ctx, "ws://"+addr+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	s := &Socket{conn: conn, in: br, on: o.OnEvent, acks: map[int]chan json.RawMessage{}, done: make(chan struct{})}
	s.raw = o.OnFrame
	if tcp, ok := conn.(*net.TCPConn); ok && o.ReadBuffer > 0 {
		if err := tcp.SetReadBuffer(o.ReadBuffer); err != nil {
			return nil, err
		}
	}
	if s.in == nil {
		s.in = bufio.NewReaderSize(conn, 2048)
	}
	if err := s.handshake(o.Token); err != nil {
		_ = conn.Close()
		return nil, err
	}
	go s.read()
	return s, nil
}

func (s *Socket) handshake(token string) error {
	if err := s.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	open, err := s.receive()
	if err != nil || len(open) == 0 || open[0] != '0' {
		return fmt.Errorf("open: %q %w", open, err)
	}
	auth, err := json.Marshal(map[string]string{"token": "Bearer " + token})
	if err != nil {
		return err
	}
	if err := s.send(append([]byte("40"), auth...)); err != nil {
		return err
	}
	for {
		answer, err := s.receive()
		switch {
		case err != nil:
			return err
		case bytes.HasPrefix(answer, []byte("40")):
			return s.conn.SetDeadline(time.Time{})
		case bytes.HasPrefix(answer, []byte("44")):
			return fmt.Errorf("refused: %s", answer[2:])
		case bytes.Equal(answer, []byte("2")):
			if err := s.send([]byte("3")); err != nil {
				return err
			}
		}
	}
}

func (s *Socket) send(b []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return wsutil.WriteClientText(s.conn, b)
}

// receive reads one text message; control frames are answered on the way.
func (s *Socket) receive() ([]byte, error) {
	b, _, err := wsutil.ReadServerData(struct {
		io.Reader
		io.Writer
	}{s.in, s.conn})
	return b, err
}

func (s *Socket) read() {
	var err error
	for err == nil {
		var b []byte
		if b, err = s.receive(); err == nil {
			err = s.dispatch(b)
		}
	}
	s.mu.Lock()
	s.err = err
	for id, ch := range s.acks {
		delete(s.acks, id)
		close(ch)
	}
	s.mu.Unlock()
	_ = s.conn.Close()
	close(s.done)
}

func (s *Socket) dispatch(b []byte) error {
	switch {
	case len(b) == 0:
		return nil
	case b[0] == '2':
		return s.send([]byte("3"))
	case bytes.HasPrefix(b, []byte("42")) && s.raw != nil:
		s.raw(b)
	case bytes.HasPrefix(b, []byte("42")):
		var event []json.RawMessage
		var name string
		if err := json.Unmarshal(b[2:], &event); err != nil || len(event) == 0 {
			return fmt.Errorf("event %q: %w", b, err)
		}
		if err := json.Unmarshal(event[0], &name); err != nil {
			return err
		}
		var payload json.RawMessage
		if len(event) > 1 {
			payload = event[1]
		}
		if s.on != nil {
			s.on(name, payload)
		}
	case bytes.HasPrefix(b, []byte("43")):
		at := bytes.IndexByte(b, '[')
		if at < 0 {
			return fmt.Errorf("ack %q", b)
		}
		id, err := strconv.Atoi(string(b[2:at]))
		if err != nil {
			return err
		}
		var args []json.RawMessage
		if err := json.Unmarshal(b[at:], &args); err != nil || len(args) != 1 {
			return fmt.Errorf("ack %q: %w", b, err)
		}
		s.mu.Lock()
		ch := s.acks[id]
		delete(s.acks, id)
		s.mu.Unlock()
		if ch != nil {
			ch <- args[0]
		}
	case bytes.HasPrefix(b, []byte("41")):
		return io.EOF
	}
	return nil
}

// Emit sends an event without asking for an ack.
func (s *Socket) Emit(event string, data any) error { return s.emit("42", event, data) }

func (s *Socket) emit(prefix, event string, data any) error {
	args := []any{event}
	if data != nil {
		args = append(args, data)
	}
	raw, err := json.Marshal(args)
	if err != nil {
		return err
	}
	return s.send(append([]byte(prefix), raw...))
}

// Ask sends an event and waits for its ack.
func (s *Socket) Ask(ctx context.Context, event string, data any) (json.RawMessage, error) {
	ch := make(chan json.RawMessage, 1)
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	id := s.next
	s.next++
	s.acks[id] = ch
	s.mu.Unlock()
	if err := s.emit("42"+strconv.Itoa(id), event, data); err != nil {
		return nil, err
	}
	select {
	case ack, ok := <-ch:
		if !ok {
			return nil, ErrClosed
		}
		return ack, nil
	case <-ctx.Done():
		s.mu.Lock()
		delete(s.acks, id)
		s.mu.Unlock()
		return nil, ctx.Err()
	}
}

// SendMessage sends a text to a channel and returns the acked id.
func (s *Socket) SendMessage(ctx context.Context, channel, text string) (string, error) {
	ack, err := s.Ask(ctx, "sendMessage", Body(channel, text))
	if err != nil {
		return "", err
	}
	var id string
	return id, json.Unmarshal(ack, &id)
}

// Body is the payload of sendMessage.
func Body(channel, text string) map[string]any {
	return map[string]any{
		"channelId": channel, "attachments": []string{}, "pendingAttachments": 0,
		"spans": []map[string]string{{"type": "PLAINTEXT", "text": text}},
	}
}

// Close ends the connection without a word, as a lost client does.
func (s *Socket) Close() {
	_ = s.conn.Close()
	<-s.done
}

// Done is closed when the connection has ended.
func (s *Socket) Done() <-chan struct{} { return s.done }
