package protocol

import (
	"encoding/json"
	"strings"
)

// DebugEnabled is the answer that the debug routes are there.
type DebugEnabled struct {
	Enabled bool `json:"enabled"`
}

// EmitEvent sends an event of any name and payload to a room.
type EmitEvent struct {
	Event    string          `json:"event" rule:"string,nonempty"`
	RoomType string          `json:"roomType" rule:"enum=channel;dmGroup;user;community;raw"`
	RoomID   string          `json:"roomId" rule:"string,nonempty"`
	Payload  json.RawMessage `json:"payload" rule:"object"`
}

// Emitted is the answer to EmitEvent.
type Emitted struct {
	Success bool   `json:"success"`
	Room    string `json:"room"` // as the reference names it
	Event   string `json:"event"`
}

// Room is the name of the room in the reference: channels have no prefix there.
func (e *EmitEvent) Room() string {
	switch e.RoomType {
	case "dmGroup":
		return "dm:" + e.RoomID
	case "user", "community":
		return e.RoomType + ":" + e.RoomID
	default:
		return e.RoomID
	}
}

// Topic is the sockets of the room; false when the name is of no room.
func (e *EmitEvent) Topic() (Topic, bool) {
	prefix, text, ok := strings.Cut(e.Room(), ":")
	if !ok {
		prefix, text = "channel", prefix
	}
	id, err := ParseID[struct{}](text)
	if err != nil {
		return Topic{}, false
	}
	for room := RoomUser; int(room) < len(roomPrefixes); room++ {
		if roomPrefixes[room] == prefix+":" {
			return Topic{room, id}, true
		}
	}
	return Topic{}, false
}

// ErrDebugOwners refuses the debug routes to those who are not owners.
var ErrDebugOwners = Forbidden("Debug endpoints are admin-only")

// Rows for debugging clients. They are there when the operator said so.
var (
	DebugStatus = Define[None, DebugEnabled](Operation{
		Name: "debug.status", Method: "GET", Path: "/api/debug/status", Home: KindEdge, Debug: true,
	})
	DebugEmit = Define[EmitEvent, Emitted](Operation{
		Name: "debug.emit", Method: "POST", Path: "/api/debug/emit", Status: 200, Home: KindInstance, Key: KeySingleton, Debug: true,
	})
)
