package conversation

import (
	"slices"

	"github.com/rookery-chat/rookery/protocol"
)

// Bounds of what a channel keeps of its newest messages.
const (
	maxRecent      = 128
	maxRecentBytes = 1 << 20
)

// recent is the newest messages of a channel that lists show, oldest first: all
// of those whose seq is above floor.
type recent struct {
	list  []*entry
	floor int64 // 0: nothing older exists
	bytes int
}

// push takes a new message and returns those that have to leave for it.
func (r *recent) push(e *entry) []*entry {
	r.list = append(r.list, e)
	r.bytes += weight(e.msg)
	n := 0
	for len(r.list)-n > maxRecent || r.bytes > maxRecentBytes && len(r.list)-n > 1 {
		r.bytes -= weight(r.list[n].msg)
		r.floor = r.list[n].msg.Seq
		n++
	}
	if n == 0 {
		return nil
	}
	gone := slices.Clone(r.list[:n])
	clear(r.list[:n]) // the array stays for a while: push moves to a new one when it is used up
	r.list = r.list[n:]
	return gone
}

// insert puts a message back to its place.
func (r *recent) insert(e *entry) {
	i := r.after(e.msg.Seq)
	r.list = slices.Insert(r.list, i, e)
	r.bytes += weight(e.msg)
}

func (r *recent) remove(e *entry) {
	if i := slices.Index(r.list, e); i >= 0 {
		r.list = slices.Delete(r.list, i, i+1)
		r.bytes -= weight(e.msg)
	}
}

// after is the index of the first message with a greater seq.
func (r *recent) after(seq int64) int {
	i, _ := slices.BinarySearchFunc(r.list, seq+1, func(e *entry, seq int64) int { return int(max(-1, min(1, e.msg.Seq-seq))) })
	return i
}

// weight is about how many bytes a message holds, as JSON and as a struct.
func weight(m *protocol.Message) int {
	n := 1024
	for _, s := range m.Spans {
		n += 256
		if s.Text != nil {
			n += 3 * len(*s.Text) // as text, for search and in the JSON
		}
	}
	return n + 256*len(m.Attachments)
}
