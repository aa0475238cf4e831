package rules

import (
	"strings"

	"github.com/rookery-chat/rookery/protocol"
)

// Reason is what is kept of a moderator's reason: nil when none was given, at
// most protocol.MaxReason code points.
func Reason(text *string) *string {
	if text == nil {
		return nil
	}
	cut := strings.ToValidUTF8(*text, "\uFFFD")
	n := 0
	for i := range cut {
		if n == protocol.MaxReason {
			cut = cut[:i]
			break
		}
		n++
	}
	return &cut
}
