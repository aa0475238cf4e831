package relay

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/protocol"
)

// unreadEvery is how often at most a session is told of a channel that it does
// not look at.
const unreadEvery = int64(time.Second)

// Bounds of what is kept for a session whose events are its own.
const (
	maxOwnFrames = 1024
	maxOwnBytes  = 1 << 20
)

// view is what makes a seat differ from the others in its rooms: it looks at some
// channels only. What it was given is kept here, until it is acknowledged,
// because the logs of its rooms don't tell.
type view struct {
	focus  map[protocol.Topic]struct{}
	home   protocol.Topic // of the community that it looks at
	unread map[protocol.Topic]*unread
	due    []protocol.Topic // channels of which there is something to tell
	log    deque[*socket.Frame]
	bytes  int
}

// unread is what a session has not been shown of a channel.
type unread struct {
	LastSeq  int64 `json:"lastSeq"`
	Unread   int   `json:"unread"`
	Mentions int   `json:"mentions"`

	told    int64 // when
	waiting bool  // it is in due
}

// keep notes what the seat was given.
func (o *view) keep(f *socket.Frame) {
	o.log.push(f)
	o.bytes += len(f.Event().Payload)
	for o.log.len() > maxOwnFrames || o.bytes > maxOwnBytes && o.log.len() > 1 {
		o.drop()
	}
}

func (o *view) drop() {
	o.bytes -= len(o.log.front().Event().Payload)
	o.log.pop()
}

// set changes what the client looks at. Of what it looks at now nothing is
// unread any more.
func (o *view) set(f *protocol.Focus) {
	o.focus = make(map[protocol.Topic]struct{}, len(f.Channels))
	for _, t := range f.Channels {
		o.focus[t] = struct{}{}
		delete(o.unread, t)
	}
	o.home = protocol.CommunityTopic(f.Community)
}

// wants reports whether the seat gets an event as it is.
func (o *view) wants(d *delivery) bool {
	if len(d.topics) == 0 {
		return true
	}
	presence := d.name == "userOnline" || d.name == "userOffline"
	for _, t := range d.topics {
		switch t.Room {
		case protocol.RoomChannel:
			if _, looks := o.focus[t]; looks {
				return true
			}
		case protocol.RoomCommunity:
			if !presence || t == o.home {
				return true
			}
		case protocol.RoomUser:
			if !presence {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// passive handles an event that a seat gets at most a hint of. It reports false
// when the seat gets the event itself.
func (s *shard) passive(seat *seat, d *delivery, now int64) bool {
	o := seat.view
	if o.wants(d) {
		o.read(seat, d)
		return false
	}
	ev := d.frame.Event()
	if ev.Seq == 0 || len(d.topics) != 1 {
		return true
	}
	t := d.topics[0]
	u := o.unread[t]
	if u == nil {
		u = &unread{told: now - unreadEvery}
		o.unread[t] = u
	}
	u.LastSeq = max(u.LastSeq, ev.Seq)
	user := []byte(`"` + seat.who.UserID.String() + `"`)
	if mine := append([]byte(`"authorId":`), user...); !bytes.Contains(ev.Payload, mine) {
		u.Unread++
		if bytes.Contains(ev.Payload, user) { // in a mention: nothing else in a new message names readers
			u.Mentions++
		}
	}
	if now-u.told >= unreadEvery && !u.waiting {
		s.hint(seat, t, u, now)
	} else if !u.waiting {
		u.waiting = true
		o.due = append(o.due, t)
		s.hints = append(s.hints, seat)
		s.armHints()
	}
	return true
}

// read takes back what the client was told was unread, when its user has read it
// elsewhere.
func (o *view) read(seat *seat, d *delivery) {
	if d.name != "readReceiptUpdated" || len(o.unread) == 0 {
		return
	}
	var m struct {
		UserID    protocol.UserID    `json:"userId"`
		ChannelID protocol.ChannelID `json:"channelId"`
	}
	if json.Unmarshal(d.frame.Event().Payload, &m) == nil && (m.UserID.IsZero() || m.UserID == seat.who.UserID) {
		delete(o.unread, protocol.ChannelTopic(m.ChannelID))
	}
}

// hint tells a seat how much it has not been shown of a channel.
func (s *shard) hint(seat *seat, t protocol.Topic, u *unread, now int64) {
	u.told, u.waiting = now, false
	payload, err := json.Marshal(u)
	if err != nil {
		panic(err) // plain numbers
	}
	s.push(seat, socket.NewFrame(socket.Event{Name: "unread", Payload: payload, Stream: t.String(), Seq: -1}), now)
}

// hintTick is when what waits is told.
type hintTick struct{}

var theHints = &hintTick{}

func (s *shard) armHints() {
	if s.hinting {
		return
	}
	s.hinting = true
	root, self := s.root, s.self
	s.hinter = time.AfterFunc(time.Duration(unreadEvery), func() { root.Send(self, theHints) })
}

func (s *shard) tellHints(now int64) {
	s.hinting = false
	for _, seat := range s.hints {
		if s.rooms.seats[seat.socket] != seat || seat.view == nil {
			continue
		}
		for _, t := range seat.view.due {
			if u := seat.view.unread[t]; u != nil && u.waiting {
				s.hint(seat, t, u, now)
			}
		}
		seat.view.due = nil
	}
	clear(s.hints)
	s.hints = s.hints[:0]
	s.arm()
}

// look changes what a client looks at.
func (s *shard) look(m *look) {
	seat := s.rooms.seats[m.socket]
	if seat == nil {
		return
	}
	switch {
	case seat.view != nil:
		seat.view.set(m.focus)
	case m.focus.Only:
		seat.view = &view{unread: map[protocol.Topic]*unread{}}
		seat.view.set(m.focus)
	}
}

// acknowledged forgets what a client has processed.
func (s *shard) acknowledged(m *ack) {
	seat := s.rooms.seats[m.socket]
	if seat == nil || seat.view == nil {
		return
	}
	for o := seat.view; o.log.len() > 0 && seat.n-int64(o.log.len()) < m.n; {
		o.drop()
	}
}

// missedOf is what comes behind an event of a session whose events are its own.
func (o *view) missedOf(want int64) (list []protocol.MissedEvent, complete bool) {
	if want < 0 || want > int64(o.log.len()) {
		return nil, false
	}
	items := o.log.items()
	for _, f := range items[int64(len(items))-want:] {
		list = append(list, missed(f.Event()))
	}
	return list, true
}
