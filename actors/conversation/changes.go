package conversation

import "github.com/rookery-chat/rookery/protocol"

// Bounds of the changes that a conversation keeps for clients whose node died.
const (
	maxChanges     = 128
	maxChangeBytes = 64 << 10
	maxChangeAge   = protocol.Instant(5 * 60 * 1000)
)

// change is what happened beside new messages: edits, deletions, reactions, pins,
// and all that is about threads.
type change struct {
	name    string
	payload []byte
	seq     int64 // of a reply, which has one; 0: it has none
	after   int64 // seq of the newest row when it happened
	rev     int64
	at      protocol.Instant
}

// changes are the newest ones, oldest first. They are numbered by the activation:
// the next one does not know them and counts from 1.
type changes struct {
	list     []change
	bytes    int
	rev      int64 // of the newest
	lost     int64 // of the newest that is not in list any more
	lostAt   int64 // after of that one
	unlisted int64 // the newest seq that is neither in the ring of messages nor in list
}

// push takes a change in and forgets what has no place any more.
func (c *changes) push(n change) {
	c.rev++
	n.rev = c.rev
	c.list = append(c.list, n)
	c.bytes += len(n.payload)
	gone := 0
	for gone < len(c.list) && (len(c.list)-gone > maxChanges || c.bytes > maxChangeBytes || n.at-c.list[gone].at > maxChangeAge) {
		old := &c.list[gone]
		c.bytes -= len(old.payload)
		c.lost, c.lostAt, c.unlisted = old.rev, old.after, max(c.unlisted, old.seq)
		gone++
	}
	if gone > 0 {
		clear(c.list[:gone])
		c.list = c.list[gone:]
	}
}

// behind is what came behind a place of this activation; false when that is not
// known any more. A place without a rev is one behind a message: what happened
// since it may have been seen in part.
func (c *changes) behind(seq, rev int64) ([]change, bool) {
	if rev < 0 {
		if c.lost > 0 && c.lostAt >= seq {
			return nil, false
		}
		for i := range c.list {
			if c.list[i].after >= seq {
				return c.list[i:], true
			}
		}
		return nil, true
	}
	if rev < c.lost || rev > c.rev {
		return nil, false
	}
	return c.list[rev-c.lost:], true
}

// replies are the thread replies among them behind a seq.
func (c *changes) replies(seq int64) (list []change) {
	for _, n := range c.list {
		if n.seq > seq {
			list = append(list, n)
		}
	}
	return list
}
