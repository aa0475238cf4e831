package community

import (
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

// Every operation at home here has a handler.
func TestHandlers(t *testing.T) {
	k := New(Config{})
	for _, op := range protocol.Operations() {
		if op.Home == k.Name && !k.Handles(op) {
			t.Errorf("%s has no handler", op.Name)
		}
	}
}
