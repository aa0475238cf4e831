package connection

import "sync"

// beatSlots is in how many steps the presence of all connections is renewed.
const beatSlots = 30

// registry lists the connections: linked through the connections themselves, in
// one list per slot of the heartbeat.
type registry struct {
	mu     sync.Mutex
	slots  [beatSlots]*conn
	n      int
	next   int
	closed bool
	empty  chan struct{} // closed when closed and empty
}

func (r *registry) init() { r.empty = make(chan struct{}) }

// add lists a connection; false when no more are taken.
func (r *registry) add(c *conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	c.slot = uint8(r.next)
	r.next = (r.next + 1) % beatSlots
	head := &r.slots[c.slot]
	if c.listNext = *head; c.listNext != nil {
		c.listNext.listPrev = c
	}
	*head = c
	r.n++
	return true
}

func (r *registry) remove(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.listPrev != nil {
		c.listPrev.listNext = c.listNext
	} else {
		r.slots[c.slot] = c.listNext
	}
	if c.listNext != nil {
		c.listNext.listPrev = c.listPrev
	}
	c.listNext, c.listPrev = nil, nil
	r.n--
	r.settle()
}

// close takes no more connections.
func (r *registry) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		r.settle()
	}
}

func (r *registry) settle() {
	if r.closed && r.n == 0 {
		close(r.empty)
	}
}

func (r *registry) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

func (r *registry) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}

// eachOf visits the connections of a slot. The visit must not block.
func (r *registry) eachOf(slot int, visit func(*conn)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := r.slots[slot]; c != nil; c = c.listNext {
		visit(c)
	}
}

// all is a snapshot.
func (r *registry) all() []*conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*conn, 0, r.n)
	for _, c := range r.slots {
		for ; c != nil; c = c.listNext {
			list = append(list, c)
		}
	}
	return list
}
