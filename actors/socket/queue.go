package socket

import "sync"

// entry is one frame waiting for one socket.
type entry struct {
	f *Frame
	n int64 // native event number
}

func (e entry) size(framing Framing) int {
	switch {
	case e.f.raw != nil:
		return len(e.f.raw)
	case framing == SocketIO:
		return len(e.f.SocketIO())
	default:
		var head [maxHead]byte
		tail := len(e.f.nativeTail())
		return len(appendNativeHead(head[:0], e.n, tail)) + tail
	}
}

// segments returns the two parts of the wire bytes: one built into buf for this
// receiver (possibly empty), one shared.
func (e entry) segments(framing Framing, buf []byte) (head, body []byte) {
	switch {
	case e.f.raw != nil:
		return nil, e.f.raw
	case framing == SocketIO:
		return nil, e.f.SocketIO()
	default:
		tail := e.f.nativeTail()
		return appendNativeHead(buf, e.n, len(tail)), tail
	}
}

// queue holds what waits for one socket. A socket has one only while something
// waits.
type queue struct {
	entries []entry
	head    int   // first entry not written completely
	offset  int   // bytes of it that are written
	bytes   int   // bytes not written, of all entries
	since   int64 // when a byte moved last, or when waiting began
}

// keepEntries is the largest capacity that goes back to the pool.
const keepEntries = 128

var queues = sync.Pool{New: func() any { return &queue{entries: make([]entry, 0, 8)} }}

func newQueue(now int64) *queue {
	q := queues.Get().(*queue)
	q.since = now
	return q
}

// release gives an unused queue back.
func (q *queue) release() {
	if cap(q.entries) > keepEntries {
		return
	}
	clear(q.entries[:cap(q.entries)])
	*q = queue{entries: q.entries[:0]}
	queues.Put(q)
}

func (q *queue) len() int { return len(q.entries) - q.head }

func (q *queue) push(e entry, framing Framing) {
	if len(q.entries) == cap(q.entries) && q.head > len(q.entries)/2 {
		n := copy(q.entries, q.entries[q.head:])
		clear(q.entries[n:])
		q.entries, q.head = q.entries[:n], 0
	}
	q.entries = append(q.entries, e)
	q.bytes += e.size(framing)
}

// advance takes n written bytes off the front.
func (q *queue) advance(n int, framing Framing) {
	q.bytes -= n
	n += q.offset
	for q.head < len(q.entries) {
		size := q.entries[q.head].size(framing)
		if n < size {
			break
		}
		n -= size
		q.entries[q.head] = entry{}
		q.head++
	}
	q.offset = n
}

// drop forgets everything but an entry of which a part is already written: the
// stream of frames must stay whole.
func (q *queue) drop(framing Framing) {
	keep := q.head
	if q.offset > 0 {
		keep++
	}
	clear(q.entries[keep:])
	q.entries = q.entries[:keep]
	q.bytes = 0
	if q.offset > 0 {
		q.bytes = q.entries[q.head].size(framing) - q.offset
	}
}
