//go:build !linux

package socket

import (
	"errors"
	"net"
)

// loop does not exist here: every socket has its own reading goroutine.
type loop struct{}

func (p *Poller) startLoops() error { return nil }

func (p *Poller) stopLoops() {}

func (p *Poller) loopFor(net.Conn) *loop { return nil }

func (l *loop) add(*Socket, net.Conn, []byte) error { return errors.ErrUnsupported }

func (l *loop) collect(all []*Socket) []*Socket { return all }

func (s *Socket) post() { s.alt.post(s) }

func (s *Socket) arm() {}

func (s *Socket) drain(int64) {}

func (s *Socket) writeParts(_, _, _ []byte) (int, error) { return 0, errors.ErrUnsupported }

func (s *Socket) shutWrite() {
	if !s.is(shut) {
		s.flags |= shut
		s.post()
	}
}
