package protocol_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/rookery-chat/rookery/protocol"
)

// What is written by hand is what encoding/json makes of the struct, without its
// escapes for HTML.
func TestAppendedJSONIsThatOfTheStruct(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		m := rapid.Make[protocol.Message]().Draw(r, "message")
		if m.Spans == nil {
			m.Spans = []protocol.Span{}
		}
		if m.Attachments == nil {
			m.Attachments = []protocol.Attachment{}
		}
		m.Reactions = append([]protocol.Reaction{}, m.Reactions...)
		for i := range m.Reactions {
			m.Reactions[i].UserIDs = append([]protocol.UserID{}, m.Reactions[i].UserIDs...)
		}
		for _, at := range []*protocol.Instant{&m.SentAt, m.EditedAt, m.DeletedAt, m.PinnedAt, m.LastReplyAt} {
			if at != nil {
				*at %= 4_000_000_000_000 // years of four digits
			}
		}
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(m); err != nil {
			r.Fatal(err)
		}
		// These two are the only characters that json.Encoder escapes all the same.
		text := bytes.ReplaceAll(bytes.TrimSpace(want.Bytes()), []byte(`\u2028`), []byte("\u2028"))
		text = bytes.ReplaceAll(text, []byte(`\u2029`), []byte("\u2029"))
		text = bytes.ReplaceAll(text, []byte(`\ufffd`), []byte("\ufffd"))
		if got := m.AppendJSON(nil); !bytes.Equal(got, text) {
			r.Fatalf("written\n%s\nwant\n%s", got, text)
		}
	})
}
