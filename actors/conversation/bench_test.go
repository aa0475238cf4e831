package conversation

import (
	"fmt"
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// full is a channel in memory with a page full of what messages usually are.
func full() (*State, protocol.Caller) {
	s := bare()
	c := by(protocol.UserID{2})
	for i := range maxRecent {
		out, err := s.sendMessage(turn.Turn{Now: protocol.Instant(i + 1), Caller: c}, sending(s, i))
		if err != nil {
			panic(err)
		}
		id := out.Reply.(*protocol.Message).ID
		if _, err := s.addReaction(turn.Turn{Now: protocol.Instant(i + 1), Caller: c}, protocol.AddReaction{MessageID: id, Emoji: "👍"}); err != nil {
			panic(err)
		}
	}
	return s, c
}

func sending(s *State, i int) protocol.SendMessage {
	words := fmt.Sprintf("message %d with a text of about the usual length, that is a line or two of somebody's chat", i)
	return protocol.SendMessage{ChannelID: s.channel, Spans: text(words), ID: protocol.MessageID(protocol.NewID[tag]())}
}

func BenchmarkSendTurn(b *testing.B) {
	s, c := full()
	b.ReportAllocs()
	for i := range b.N {
		if _, err := s.sendMessage(turn.Turn{Now: protocol.Instant(1000 + i), Caller: c}, sending(s, i)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFirstPage(b *testing.B) {
	s, c := full()
	req := protocol.ListMessages{Limit: 50}
	b.ReportAllocs()
	for range b.N {
		out, err := s.listMessages(turn.Turn{Caller: c}, req)
		if err != nil || out.Reply.(*protocol.PageGrant).Page == nil {
			b.Fatal(out, err)
		}
	}
}

// The page after a send: all but one message have their JSON already.
func BenchmarkFirstPageAfterSend(b *testing.B) {
	s, c := full()
	req := protocol.ListMessages{Limit: 50}
	b.ReportAllocs()
	for range b.N {
		clear(s.pages)
		if _, err := s.listMessages(turn.Turn{Caller: c}, req); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkColdPage(b *testing.B) {
	sc := newSchema(b)
	w := sc.world(b)
	for i := range 1000 {
		w.send(sc.users[0], fmt.Sprint("message ", i))
	}
	w.settle()
	g := protocol.PageGrant{Limit: 50, Cursor: 500}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := w.db.MessagePage(w.ctx, w.in(), g); err != nil {
			b.Fatal(err)
		}
	}
}

// Load is one round trip.
func BenchmarkLoad(b *testing.B) {
	sc := newSchema(b)
	w := sc.world(b)
	for i := range 200 {
		w.send(sc.users[0], fmt.Sprint("message ", i))
	}
	w.settle()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, _, err := w.db.ChannelLog(w.ctx, w.channel, Scope(w.now)); err != nil {
			b.Fatal(err)
		}
	}
}
