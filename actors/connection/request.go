package connection

import (
	"encoding/json"
	"sync/atomic"

	"github.com/rookery-chat/rookery/protocol"
)

// request is one operation that a client has asked for.
type request struct {
	op     *protocol.Operation
	body   json.RawMessage // nil when the client sent none
	id     int64           // the client's number for the answer
	wants  bool            // the client wants an answer
	weight int32           // of the frame, returned when the request is done
	window *window         // that the answer fills; nil: none
	inner  bool            // nobody asked for it

	running   bool
	delivered atomic.Bool // it is in the mailbox of its actor: what follows will be behind it
	keyed     bool        // target is known
	target    target
}

// target is the actor that a request touches, as far as it can be told here.
type target struct {
	kind protocol.Kind
	id   protocol.AnyID
	any  bool // some actor of the kind
	none bool // no actor that others could touch
}

func (t target) meets(o target) bool {
	return !t.none && !o.none && t.kind == o.kind && (t.any || o.any || t.id == o.id)
}

// aim finds the target. It is called only when requests have to be compared.
func (r *request) aim() target {
	if r.keyed {
		return r.target
	}
	r.keyed = true
	r.target = target{kind: r.op.Home, any: true}
	if r.op.Home == protocol.KindDM { // by a message or a place one gets to either kind
		r.target.kind = protocol.KindChannel
	}
	switch {
	case r.op.Home == protocol.KindEdge, r.op.Key == protocol.KeyNew:
		r.target.none = true
	case r.op.Key == protocol.KeyCaller, r.op.Key == protocol.KeySingleton:
		r.target.any = false
	case r.op.Locate == protocol.LocatePlace:
		id, ok := idField(r.body, string(r.op.Key))
		if !ok {
			id, ok = idField(r.body, "directMessageGroupId")
		}
		r.target.any, r.target.id = !ok, id
	case r.op.Locate == protocol.LocateDirect:
		if id, ok := idField(r.body, string(r.op.Key)); ok {
			r.target.any, r.target.id = false, id
		}
	}
	return r.target
}

// idField reads a field of a JSON object that holds an id.
func idField(body json.RawMessage, name string) (protocol.AnyID, bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return protocol.AnyID{}, false
	}
	var id protocol.AnyID
	if json.Unmarshal(fields[name], &id) != nil {
		return protocol.AnyID{}, false
	}
	return id, !id.IsZero()
}

// requests are those of a connection that are not done, in the order sent.
type requests struct {
	list    []*request
	waiting atomic.Bool // some may not run yet; read by those that deliver
}

// add takes a request and reports whether it may run now.
func (q *requests) add(r *request) bool {
	q.list = append(q.list, r)
	if len(q.list) > 1 {
		q.waiting.Store(true) // before looking at what was delivered
	}
	r.running = q.free(len(q.list) - 1)
	return r.running
}

// free reports whether nothing before position i touches the same actor without
// having reached it.
func (q *requests) free(i int) bool {
	for _, earlier := range q.list[:i] {
		if !earlier.delivered.Load() && earlier.aim().meets(q.list[i].aim()) {
			return false
		}
	}
	return true
}

// done takes a request out and returns those that may run now.
func (q *requests) done(r *request) []*request {
	kept := q.list[:0]
	for _, other := range q.list {
		if other != r {
			kept = append(kept, other)
		}
	}
	clear(q.list[len(kept):])
	q.list = kept
	return q.ready()
}

// ready marks those that may run now as running and returns them.
func (q *requests) ready() []*request {
	var next []*request
	idle := false
	for i, other := range q.list {
		if !other.running && q.free(i) {
			other.running = true
			next = append(next, other)
		}
		idle = idle || !other.running
	}
	if !idle {
		q.waiting.Store(false)
	}
	return next
}

// drop forgets those that do not run and returns them.
func (q *requests) drop() []*request {
	var dropped []*request
	kept := q.list[:0]
	for _, r := range q.list {
		if r.running {
			kept = append(kept, r)
		} else {
			dropped = append(dropped, r)
		}
	}
	clear(q.list[len(kept):])
	q.list = kept
	return dropped
}

func (q *requests) len() int { return len(q.list) }
