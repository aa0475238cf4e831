package conversation

import (
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// What may notify somebody is announced with the message; what can't be of
// interest to anybody is not, until somebody wants to hear of everything.
func TestNoticesAreForThoseWhoWantThem(t *testing.T) {
	t.Parallel()
	s := bare()
	s.notices = notices{}
	woken := 0
	s.archive.noticed = func() { woken++ }
	now := protocol.Instant(1_000_000)
	announced := func(span protocol.SpanInput) bool {
		t.Helper()
		now++
		out, err := s.sendMessage(turn.Turn{Now: now, Caller: by(protocol.UserID(protocol.NewID[tag]()))},
			protocol.SendMessage{ID: protocol.MessageID(protocol.NewID[tag]()), ChannelID: s.channel, Spans: []protocol.SpanInput{span}})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Rows {
			if _, ok := r.(*persistence.NoticeRow); ok {
				out.Stored()
				return true
			}
		}
		return false
	}
	text, kind, id := "x", protocol.SpecialHere, protocol.AnyID(protocol.NewID[tag]()).String()
	plain := protocol.SpanInput{Type: protocol.SpanPlaintext, Text: &text}
	quiet := func(wants bool) {
		t.Helper()
		if announced(plain) == wants {
			t.Errorf("a plain message: quiet %v", !wants)
		}
		for _, span := range []protocol.SpanInput{
			{Type: protocol.SpanUser, UserID: &id}, {Type: protocol.SpanAlias, AliasID: &id}, {Type: protocol.SpanSpecial, SpecialKind: &kind},
		} {
			if !announced(span) {
				t.Errorf("%s is not announced", span.Type)
			}
		}
	}
	run := func(out turn.Outcome, err error) {
		t.Helper()
		if err != nil || out.Rows != nil {
			t.Errorf("%+v %v", out, err)
		}
	}
	quiet(false) // nothing is known yet
	run(s.noticesUnwanted(turn.Turn{Now: now}, &protocol.NoticesUnwanted{}))
	quiet(true)
	run(s.setOverride(turn.Turn{Now: now}, protocol.SetChannelOverride{Level: protocol.LevelMentions}))
	quiet(true)
	run(s.setOverride(turn.Turn{Now: now}, protocol.SetChannelOverride{Level: protocol.LevelAll}))
	quiet(false)
	run(s.noticesUnwanted(turn.Turn{Now: now}, &protocol.NoticesUnwanted{})) // was found out before
	quiet(false)
	now += 2 * quietFor
	run(s.noticesUnwanted(turn.Turn{Now: now}, &protocol.NoticesUnwanted{}))
	quiet(true)
	now += 2 * quietFor
	quiet(false)
	run(s.noticesUnwanted(turn.Turn{Now: now}, &protocol.NoticesUnwanted{}))
	run(s.noticesWanted(turn.Turn{Now: now}, &protocol.NoticesWanted{}))
	quiet(false)
	if woken == 0 {
		t.Error("nobody was woken")
	}
}
