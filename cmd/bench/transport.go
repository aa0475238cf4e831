//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gobwas/ws"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol/socketio"
)

// transport is actors/socket alone: what it costs over the floor when nothing
// of a chat server is above it.
type transport struct {
	tick    time.Duration
	poller  *socket.Poller
	arrived chan *socket.Socket
}

func runTransport(ctx context.Context, args []string) error {
	t := &transport{arrived: make(chan *socket.Socket, 1024)}
	fs := flag.NewFlagSet("transport", flag.ExitOnError)
	addr := fs.String("listen", "127.0.0.1:0", "address")
	fs.DurationVar(&t.tick, "tick", 4*time.Millisecond, "join what comes within a tick into one write")
	_ = fs.Parse(args)
	var err error
	if t.poller, err = socket.NewPoller(socket.Config{Tick: t.tick}); err != nil {
		return err
	}
	defer t.poller.Close()
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp4", *addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: t, ReadHeaderTimeout: 10 * time.Second}
	defer server.Close()
	go func() { _ = server.Serve(ln) }()
	if err := say(listening{"listening", ln.Addr().String(), os.Getpid()}); err != nil {
		return err
	}
	var sockets []*socket.Socket
	for rounds := orders[load](os.Stdin); ; {
		select {
		case s := <-t.arrived:
			sockets = append(sockets, s)
		case l, ok := <-rounds:
			if !ok {
				return nil
			}
			r, err := t.broadcast(ctx, sockets, &l)
			if err != nil {
				return err
			}
			if err := say(r); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ServeHTTP upgrades a subscriber.
func (t *transport) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	s, err := t.poller.Add(conn, socket.Options{Framing: socket.SocketIO, Handler: t})
	if err != nil {
		return
	}
	s.Send(socketio.AppendOpen(nil, socketio.Open{SID: "transport", PingInterval: 25 * time.Second, PingTimeout: time.Minute, MaxPayload: 1_000_000}))
}

// OnMessage plays the server in the handshake.
func (t *transport) OnMessage(s *socket.Socket, data []byte) {
	packet, err := socketio.Decode(data)
	switch {
	case err != nil:
		s.Abort()
	case packet.Kind == socketio.Connect:
		s.Send(socketio.AppendConnect(nil, "transport", ""))
	case packet.HasAck:
		s.Send(socketio.AppendAck(nil, packet.AckID, []byte(`"ACK"`)))
		t.arrived <- s
	}
}

// OnClose reports a subscriber that did not leave by itself.
func (t *transport) OnClose(_ *socket.Socket, err error) {
	if !errors.Is(err, socket.ErrPollerClosed) && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, "transport:", err)
	}
}

// broadcast does what a relay does: push each event to every socket, and flush
// those that ask for it at the next tick.
func (t *transport) broadcast(ctx context.Context, sockets []*socket.Socket, l *load) (report, error) {
	r := report{Event: "sent", Events: l.events()}
	before := t.poller.Stats().Writes
	begin, origin, cpu := time.Now(), monotonic(), cpuSeconds()
	var deferred []*socket.Socket
	nextTick := begin.Add(t.tick)
	for i := 0; i < r.Events || len(deferred) > 0; {
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		wakeAt := nextTick
		if at := begin.Add(l.due(i)); i < r.Events && (len(deferred) == 0 || at.Before(nextTick)) {
			wakeAt = at
		}
		time.Sleep(time.Until(wakeAt))
		now := time.Now()
		for ; i < r.Events && !begin.Add(l.due(i)).After(now); i++ {
			f := socket.NewFrame(socket.Event{Name: "newMessage", Payload: l.event(i, origin)})
			at := socket.Now()
			for _, s := range sockets {
				if s.Push(f, at) {
					deferred = append(deferred, s)
				}
			}
		}
		if now = time.Now(); !now.Before(nextTick) {
			for _, s := range deferred {
				s.Flush()
			}
			deferred = deferred[:0]
			nextTick = time.Now().Add(t.tick)
		}
	}
	r.Seconds = time.Since(begin).Seconds()
	r.Late = max(0, r.Seconds-l.due(r.Events-1).Seconds())
	r.CPU = cpuSeconds() - cpu
	r.Deliveries = r.Events * len(sockets)
	r.Writes = t.poller.Stats().Writes - before
	r.finish()
	return r, nil
}
