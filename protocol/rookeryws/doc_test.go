package rookeryws

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/rookery-chat/rookery/protocol"
)

// The description of the protocol says what the code does.
func TestDescription(t *testing.T) {
	raw, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(raw), "\n// ", "\n")
	said := map[ws.StatusCode]string{}
	for _, m := range regexp.MustCompile(`\n//?\t?\s*(\d{4})  (.*)`).FindAllStringSubmatch(text, -1) {
		code, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		said[ws.StatusCode(code)] = m[2]
	}
	for code := ws.StatusCode(1000); code < 5000; code++ {
		reason := CloseReason(code)
		switch line, described := said[code]; {
		case reason == "" && described:
			t.Errorf("close code %d is described but not sent", code)
		case reason != "" && !described:
			t.Errorf("close code %d is not described", code)
		case !strings.HasPrefix(line, strings.TrimSpace(reason)):
			t.Errorf("close code %d is %q, described as %q", code, reason, line)
		}
	}
	for _, op := range []string{OpHello, OpPing, OpAck, OpFocus, OpTypingStart, OpTypingStop, OpPresence, OpWindow} {
		if !regexp.MustCompile(`\n(//)?\t` + regexp.QuoteMeta(op) + `\s`).MatchString(text) {
			t.Errorf("operation %s is not described", op)
		}
	}
	for _, part := range []string{
		fmt.Sprintf("or group at most %d messages count", protocol.MaxOverviewUnread),
		Subprotocol, fmt.Sprintf("%d bytes towards the server", MaxFrame), fmt.Sprintf("within %.0f seconds", HelloTimeout.Seconds()),
		fmt.Sprintf("at most %d members", MaxWindow), fmt.Sprintf("at most %d channels", MaxFocus), fmt.Sprintf("(at\nmost %d)", MaxResumeAt),
		string(ResetExpired), string(ResetOverflow), string(ResetUnknown), `mode "` + string(ModeAll) + `"`, `mode "` + string(ModeFocused) + `"`,
	} {
		if !strings.Contains(text, part) {
			t.Errorf("the description does not say %q", part)
		}
	}
	// Every frame that is shown decodes, or is what the code writes.
	for _, m := range regexp.MustCompile(`\tC (\{.*\})`).FindAllStringSubmatch(text, -1) {
		r, err := DecodeRequest([]byte(m[1]))
		if err != nil {
			t.Errorf("%s: %v", m[1], err)
			continue
		}
		if r.Op == OpHello {
			if _, err := DecodeHello(r.D); err != nil {
				t.Errorf("%s: %v", m[1], err)
			}
		}
	}
	for _, frame := range []string{
		string(AppendResumed(nil, "s_..", 17)), string(AppendReset(nil, ResetExpired)), PongFrame,
		string(AppendNotice(nil, "presence.window", []byte(`{"communityId":"<id>","online":["<id>"],"offline":["<id>"]}`))),
		string(AppendNotice(nil, "presence.count", []byte(`{"communityId":"<id>","online":7}`))),
		string(AppendEventTail(AppendEventHead(nil, 4712), Event{Name: "newMessage", Stream: "channel:<id>", Epoch: 3, Seq: 42, Rev: 17, D: []byte(`{"message":{}}`)})),
		string(AppendEventTail(AppendEventHead(nil, 4713), Event{Name: "reactionAdded", Stream: "channel:<id>", Epoch: 3, Seq: -1, Rev: 18, D: []byte(`{}`)})),
		string(AppendEventTail(AppendEventHead(nil, 8), Event{Name: "unread", Stream: "channel:<id>", Seq: -1, D: []byte(`{"lastSeq":90,"unread":3,"mentions":1}`)})),
	} {
		if !strings.Contains(text, frame) {
			t.Errorf("the description does not show %s", frame)
		}
	}
}
