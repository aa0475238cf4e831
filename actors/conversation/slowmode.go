package conversation

import "github.com/rookery-chat/rookery/protocol"

// Bounds of what is remembered for slow mode.
const (
	maxLastSends = 8192
	maxSlowmode  = protocol.Instant(21_600_000) // the longest that a channel can have
)

// sentAt remembers when a user sent last, whether slow mode is on or not: it may
// be turned on.
func (s *State) sentAt(user protocol.UserID, at protocol.Instant) {
	if len(s.lastSend) >= maxLastSends {
		for u, last := range s.lastSend {
			if last < at-maxSlowmode || len(s.lastSend) >= maxLastSends {
				delete(s.lastSend, u)
			}
		}
	}
	s.lastSend[user] = at
}
