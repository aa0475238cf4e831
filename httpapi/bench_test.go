package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

// page is 50 messages as their owner has encoded them.
func page(b *testing.B) json.RawMessage {
	b.Helper()
	text := "a message of an ordinary length, with a few words in it"
	var p protocol.MessagePage
	for range protocol.DefaultPage {
		p.Messages = append(p.Messages, protocol.Message{
			ID: protocol.MessageID(protocol.NewID[struct{}]()), Spans: []protocol.Span{{Type: protocol.SpanPlaintext, Text: &text}},
			Reactions: []protocol.Reaction{}, Attachments: []protocol.Attachment{},
		})
	}
	raw, err := json.Marshal(p)
	if err != nil {
		b.Fatal(err)
	}
	return raw
}

// discard is a ResponseWriter without a connection.
type discard struct {
	h      http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

func benchmarkGet(b *testing.B, limits bool, target string) {
	raw := page(b)
	s := New(Config{
		Gate: testGate{}, NoRateLimits: !limits,
		Do: func(context.Context, *protocol.Operation, protocol.Caller, protocol.Input) (any, error) {
			return raw, nil
		},
	})
	for _, r := range []*route{mustFind(b, s, target)} {
		if limits && r.limits != nil {
			r.limits = buckets(1<<40, 1<<40)
			r.limits[1].Max = 1 << 40
		}
	}
	r := httptest.NewRequest("GET", target, nil)
	r.Header.Set("Authorization", "Bearer good")
	b.ReportAllocs()
	for b.Loop() {
		w := &discard{h: http.Header{}}
		s.ServeHTTP(w, r)
		if w.status != 0 && w.status != 200 {
			b.Fatal(w.status)
		}
	}
}

func mustFind(b *testing.B, s *Server, target string) *route {
	b.Helper()
	path, _, _ := bytes.Cut([]byte(target), []byte("?"))
	r, _ := s.router.find("GET", string(path))
	if r == nil {
		b.Fatal("no route for ", target)
	}
	return r
}

const pageTarget = "/api/messages/channel/" + someID + "?limit=50&continuationToken="

func BenchmarkPage(b *testing.B)        { benchmarkGet(b, false, pageTarget) }
func BenchmarkPageLimited(b *testing.B) { benchmarkGet(b, true, pageTarget) }
func BenchmarkAlive(b *testing.B)       { benchmarkGet(b, false, "/healthz") }

func BenchmarkRouter(b *testing.B) {
	s := New(Config{})
	b.ReportAllocs()
	for b.Loop() {
		if r, _ := s.router.find("GET", "/api/messages/channel/"+someID); r == nil {
			b.Fatal("no route")
		}
	}
}
