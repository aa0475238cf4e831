package rules_test

import (
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/protocol"
)

func TestReason(t *testing.T) {
	if rules.Reason(nil) != nil {
		t.Error("no reason became one")
	}
	for text, want := range map[string]string{
		"": "", "rude": "rude", "a\xff": "a\uFFFD",
		strings.Repeat("ä", protocol.MaxReason):     strings.Repeat("ä", protocol.MaxReason),
		strings.Repeat("ä", protocol.MaxReason+1):   strings.Repeat("ä", protocol.MaxReason),
		strings.Repeat("a", protocol.MaxReason*100): strings.Repeat("a", protocol.MaxReason),
	} {
		if got := rules.Reason(&text); *got != want {
			t.Errorf("%.20q: %d bytes", text, len(*got))
		}
	}
}
