package protocol

import "encoding/json"

// Room is the kind of a topic.
type Room uint8

// Rooms of the contract.
const (
	RoomUser      Room = iota + 1 // every socket of a user
	RoomCommunity                 // sockets of members
	RoomChannel                   // sockets of those who can see the channel
	RoomGroup                     // sockets of a direct-message group
	RoomAlias                     // sockets of an alias group
)

var roomPrefixes = [...]string{"", "user:", "community:", "channel:", "dm:", "alias:"}

// Topic names a set of sockets. It is comparable and needs no allocation.
type Topic struct {
	Room Room     `json:"r"`
	ID   [16]byte `json:"i"`
}

// String is the form of the native protocol: channel:<uuid>.
func (t Topic) String() string {
	if int(t.Room) >= len(roomPrefixes) {
		return "?"
	}
	return roomPrefixes[t.Room] + AnyID(t.ID).String()
}

// UserTopic is every socket of the user.
func UserTopic(id UserID) Topic { return Topic{RoomUser, id} }

// CommunityTopic is the sockets of a community's members.
func CommunityTopic(id CommunityID) Topic { return Topic{RoomCommunity, id} }

// ChannelTopic is the sockets of those who can see the channel.
func ChannelTopic(id ChannelID) Topic { return Topic{RoomChannel, id} }

// GroupTopic is the sockets of the members of a direct message group.
func GroupTopic(id GroupID) Topic { return Topic{RoomGroup, id} }

// AliasTopic is the sockets of an alias group's members.
func AliasTopic(id AliasGroupID) Topic { return Topic{RoomAlias, id} }

// Event is something that happened, on its way to clients. Payload is encoded
// once, by the actor where it happened.
type Event struct {
	Name    string          `json:"n"`
	Topics  []Topic         `json:"t"` // a socket in several of them gets one copy
	Payload json.RawMessage `json:"p"`
	Except  ConnID          `json:"x"` // a socket that does not get it
	Author  ConnID          `json:"a"` // the socket that caused it, which is about to be answered
	Without Topic           `json:"w"` // sockets in this room do not get it; zero: none
	Stream  Topic           `json:"s"` // stream of the native protocol; zero: none
	Epoch   int64           `json:"e"` // of the stream's owner
	Seq     int64           `json:"q"` // position in the stream; 0: the event has none
	Rev     int64           `json:"v"` // number of the owner's last change of what is in the stream; 0: there was none
}

// Origin is the actor that an event comes from: where a relay without
// subscribers says so.
type Origin struct {
	Kind Kind   `json:"k"`
	ID   string `json:"i"`
}

// Fanout carries one event to the relay of a node.
type Fanout struct {
	Event
	Origin Origin `json:"o"` // zero: do not prune
	Serial Serial `json:"l"` // by which two nodes know that they have the same event
}

// Rooms changes which sockets are in which rooms, in order with the events of
// the same actor: all sockets in Of join Join and leave Leave.
type Rooms struct {
	Of     Topic   `json:"o"`
	Join   []Topic `json:"j"`
	Leave  []Topic `json:"l"`
	Origin Origin  `json:"f"`
}

// Empty removes every socket from the topics: what they named is gone, or is for
// a few only, who stay.
type Empty struct {
	Topics []Topic  `json:"t"`
	Keep   []UserID `json:"k"` // whose sockets stay
}

// Prune tells an actor that a node has no socket for its topic and needs none
// of its events until it grafts itself back.
type Prune struct {
	Node string `json:"n"`
}

// Graft tells an actor that a pruned node wants its events again. It is
// answered (*Done), so that a socket is told it has joined only when nothing
// can be missed any more.
type Graft struct {
	Node string `json:"n"`
}

// Done is the answer that carries nothing.
type Done struct{}

// CloseSockets ends the sockets of a user.
type CloseSockets struct {
	User    UserID    `json:"u"`
	Session SessionID `json:"s"` // only those of this login; zero: all
	Token   AnyID     `json:"t"` // only those of this access token; zero: all
	Reason  string    `json:"r"`
}

var (
	_ = wired[Fanout]("fanout")
	_ = wired[Rooms]("rooms")
	_ = wired[Empty]("empty")
	_ = wired[Prune]("prune")
	_ = wired[Graft]("graft")
	_ = wired[Done]("done")
	_ = wired[CloseSockets]("closeSockets")
)

// Of reports whether the topic is the own topic of an actor of that kind.
func (t Topic) Of(k Kind) bool {
	switch t.Room {
	case RoomUser:
		return k == KindUser
	case RoomCommunity:
		return k == KindCommunity
	case RoomChannel:
		return k == KindChannel
	case RoomGroup:
		return k == KindDM
	default:
		return false
	}
}
