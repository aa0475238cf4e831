//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/gobwas/ws"

	"github.com/rookery-chat/rookery/protocol/socketio"
)

// TestMain lets the test binary play the processes that fanout starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && commands[os.Args[1]] != nil {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestEveryDeliveryArrives(t *testing.T) {
	l := load{Conns: 20, Rate: 200, Size: 400, Frame: 700, Seconds: 0.5}
	for _, target := range []target{child{"floor", 0}, child{"floor", 5e6}, child{"transport", 4e6}} {
		s, err := open(context.Background(), target, l.Conns, 8)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		for range 3 {
			o, err := s.round(context.Background(), l)
			if err != nil {
				t.Fatal(err)
			}
			if o.got.Frames != 2000 || o.got.Lost != 0 || o.got.Repeated != 0 || o.sent.Deliveries != 2000 || o.sent.CPU <= 0 {
				t.Errorf("%s: %+v", target.name(), o)
			}
		}
	}
}

func TestMarkerIsFound(t *testing.T) {
	before := monotonic()
	n, sent, ok := marker(payload(4711, 400, 0, monotonic()))
	if !ok || n != 4711 || sent < before || sent > monotonic() {
		t.Errorf("%d %d %v", n, sent, ok)
	}
	for _, b := range []string{"", "~", "~1:2", "~x:2~", `42["userOnline",{}]`} {
		if _, _, ok := marker([]byte(b)); ok {
			t.Errorf("%q has a marker", b)
		}
	}
}

func TestEventsAreFilledUp(t *testing.T) {
	for _, full := range []int{0, 10, 600, 1300} {
		l := load{Rate: 1, Size: 400, Frame: full}
		packet := socketio.AppendEventOffset(nil, "newMessage", l.event(3, monotonic()), "abcd.abcdefgh")
		if full > 500 && len(packet) != full {
			t.Errorf("%d bytes, want %d", len(packet), full)
		}
		if !json.Valid(l.event(3, 0)) {
			t.Errorf("%s", l.event(3, 0))
		}
	}
}

func TestFramesCutAnywhere(t *testing.T) {
	all := bytes.Join([][]byte{serverFrame([]byte("one")), serverFrame(make([]byte, 200)), serverFrame(make([]byte, 70000)), clientFrame(ws.OpText, "two")}, nil)
	for _, step := range []int{1, 7, 1000, len(all)} {
		var s stream
		var got []int
		for b := bytes.Clone(all); len(b) > 0; b = b[min(step, len(b)):] {
			s.frames(b[:min(step, len(b))], func(_ ws.OpCode, p []byte) { got = append(got, len(p)) })
		}
		if len(got) != 4 || got[0] != 3 || got[1] != 200 || got[2] != 70000 || got[3] != 3 {
			t.Errorf("step %d: %v", step, got)
		}
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	for i := range int64(1000) {
		h.add(i * 1e6)
	}
	for q, want := range map[float64]float64{0.5: 500, 0.99: 990, 1: 999} {
		if got := h.quantile(q); got < want*0.99 || got > want*1.13 {
			t.Errorf("quantile %v is %v", q, got)
		}
	}
	for v := uint64(1); v < 1<<40; v = v*9/8 + 1 {
		if b := bucket(v); upper(b) < v || b > 0 && upper(b-1) >= v {
			t.Fatalf("%d is in the wrong bucket", v)
		}
	}
}
