package connection

import "github.com/rookery-chat/rookery/protocol"

// ParseTicket lets tests ask for a session as a node would.
func ParseTicket(pid string) (key protocol.SessionKey, ok bool) {
	key, _, ok = parseTicket(pid)
	return key, ok
}
