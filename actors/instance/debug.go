package instance

import (
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// emitEvent sends whatever an owner wants to see in a client. Who is in no room
// of that name hears nothing.
func (s *State) emitEvent(_ turn.Turn, req protocol.EmitEvent) (turn.Outcome, error) {
	out := turn.Outcome{Reply: &protocol.Emitted{Success: true, Room: req.Room(), Event: req.Event}}
	if topic, ok := req.Topic(); ok {
		out.Events = []protocol.Event{{Name: req.Event, Topics: []protocol.Topic{topic}, Payload: req.Payload}}
	}
	return out, nil
}
