package protocol

import (
	"encoding/base32"
	"encoding/binary"
	"hash/fnv"
	"strconv"
	"strings"
)

// NodeTag is the short name of a node in what clients send back when they
// return. It only says whom to ask first.
func NodeTag(nodeID string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(nodeID)) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, h.Sum64()))[:8])
}

// JoinOffset is what a stock client remembers of an event: its position and the
// node whose position it is.
func JoinOffset(position uint64, tag string) string {
	b := strconv.AppendUint(make([]byte, 0, 24), position, 36)
	return string(append(append(b, '.'), tag...))
}

// SplitOffset takes position and tag out of an offset.
func SplitOffset(offset string) (position uint64, tag string, ok bool) {
	number, tag, ok := strings.Cut(offset, ".")
	if !ok {
		return 0, "", false
	}
	position, err := strconv.ParseUint(number, 36, 64)
	return position, tag, err == nil
}

// Serial tells the events of one activation apart: an event that reaches two
// nodes has the same one in both, and those of one activation count up. The zero
// Serial is of no activation.
type Serial struct {
	From uint64 `json:"f"` // random, of the activation
	N    uint64 `json:"n"`
}

// SessionKey names the session of a socket that may be continued by another
// socket. It is a secret between the client and the cluster.
type SessionKey [16]byte

// TakeSession asks a node for a session that it holds, for a socket of the same
// user and login on any node. Answered with *SessionTaken.
type TakeSession struct {
	Node   string     `json:"a"` // that asks
	Key    SessionKey `json:"k"`
	User   UserID     `json:"u"`
	Login  SessionID  `json:"s"`
	Native bool       `json:"v"`
	Offset string     `json:"o"` // Socket.IO: of the last event that the client has seen; empty: none
	N      int64      `json:"n"` // native: the number of it
	Try    AnyID      `json:"t"` // random: the same question asked again gets the same answer
}

// SessionFate says what became of a TakeSession.
type SessionFate uint8

// The fates. A session that was found is not held any longer, whatever came of
// it.
const (
	SessionUnknown  SessionFate = iota // not held here, or not the caller's
	SessionResumed                     // Events are what the client has not seen
	SessionOverflow                    // too much was missed
	SessionExpired                     // it was held here, too long ago
)

// SessionTaken is what a session has not seen, and how it goes on.
type SessionTaken struct {
	Fate   SessionFate      `json:"f"`
	SID    string           `json:"i"` // Socket.IO id of the socket, which stays
	From   string           `json:"o"` // offset after which Events begin
	Events []MissedEvent    `json:"e"`
	N      int64            `json:"n"` // number of the last event, native
	Marks  []SerialMark     `json:"m"` // what the session has heard
	Seqs   map[string]int64 `json:"q"` // and up to where, of streams

	Revs map[string]RevMark `json:"v"` // likewise, of changes
}

// RevMark is up to where changes were heard in one epoch of a stream.
type RevMark struct {
	Epoch int64 `json:"e"`
	Rev   int64 `json:"v"`
}

// MissedEvent is an event on its way from one relay to another.
type MissedEvent struct {
	Name    string `json:"n"`
	Payload []byte `json:"p"`
	Stream  string `json:"s"`
	Epoch   int64  `json:"e"`
	Seq     int64  `json:"q"`
	Offset  string `json:"o"`
	Rev     int64  `json:"v"`
}

// AskMissed asks a conversation for what came behind a place in its stream. The
// asker sees to it that his client may read it. Answered with *Missed.
type AskMissed struct {
	Epoch int64 `json:"e"`
	Seq   int64 `json:"q"`
	Rev   int64 `json:"v"` // negative: not known
}

// Missed answers AskMissed, and tells where the conversation is now.
type Missed struct {
	Whole   bool          `json:"w"` // Events has every message; if not: too much, or the place is none
	Changes bool          `json:"c"` // and whatever else happened
	Events  []MissedEvent `json:"e"`
	Epoch   int64         `json:"p"`
	Seq     int64         `json:"q"`
	Rev     int64         `json:"v"`
}

// Focus is what a client looks at. The zero Focus is everything.
type Focus struct {
	Only      bool    // channels that it does not look at cost at most one event a second
	Channels  []Topic // what it looks at
	Community CommunityID
}

// SerialMark says up to which of its events a session has heard an activation in
// a topic.
type SerialMark struct {
	From  uint64 `json:"f"`
	Topic Topic  `json:"t"`
	N     uint64 `json:"n"`
}

// Flush asks the relay of a node for a mark behind everything that the actors of
// that node have published so far. Flushed is the mark.
type Flush struct {
	Node  string `json:"n"` // that wants it
	Round uint64 `json:"r"`
}

// Flushed is the mark that Flush asks for.
type Flushed struct {
	Node  string `json:"n"` // that sends it
	Round uint64 `json:"r"`
}

var (
	_ = wired[Flush]("flush")
	_ = wired[Flushed]("flushed")
	_ = wired[TakeSession]("takeSession")
	_ = wired[AskMissed]("askMissed")
	_ = wired[Missed]("missed")
	_ = wired[SessionTaken]("sessionTaken")
)
