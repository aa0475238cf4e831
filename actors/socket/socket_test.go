package socket

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

func TestWireBytes(t *testing.T) {
	f := NewFrame(Event{Name: "newMessage", Payload: []byte(`{"m":1}`), Stream: "channel:a", Epoch: 3, Seq: 42})
	if got, want := string(f.SocketIO()), "\x81\x1842[\"newMessage\",{\"m\":1}]"; got != want {
		t.Errorf("%q != %q", got, want)
	}
	want := `{"n":4712,"ev":"newMessage","ch":"channel:a","ep":3,"seq":42,"d":{"m":1}}`
	if got := string(f.Native(4712)); got != "\x81"+string(rune(len(want)))+want {
		t.Errorf("%q", got)
	}
	for _, n := range []int{0, 125, 126, 0xffff, 0x10000} {
		payload := strings.Repeat("x", n)
		raw := NewFrame(Event{Name: "e", Payload: []byte(`"` + payload + `"`)}).SocketIO()
		want := ws.MustCompileFrame(ws.NewTextFrame([]byte(`42["e","` + payload + `"]`)))
		if string(raw) != string(want) {
			t.Errorf("length %d: %.20q != %.20q", n, raw, want)
		}
	}
	if first, second := f.SocketIO(), f.SocketIO(); &first[0] != &second[0] {
		t.Error("encoded twice")
	}
}

func TestPushAndSendAreWritten(t *testing.T) {
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		x := open(t, Config{}, SocketIO, wrap)
		if x.s.Push(eventN(1), Now()) {
			t.Error("a quiet socket deferred")
		}
		x.c.expectText(`42["e",{"i":1}]`)
		x.s.Send([]byte(`430["x"]`))
		x.c.expectText(`430["x"]`)
		x.c.text(`420["hello"]`)
		if got := x.r.next(t); got != `420["hello"]` {
			t.Errorf("got %q", got)
		}
	})
}

func TestNativeEventsAreNumbered(t *testing.T) {
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		x := open(t, Config{Tick: -1}, Native, wrap)
		x.s.SetN(98)
		for i := range 3 {
			x.s.Push(eventN(i), Now())
		}
		x.s.PushN(eventN(3), 1000, Now())
		x.s.Flush()
		for i, n := range []int{99, 100, 101, 1000} {
			x.c.expectText(fmt.Sprintf(`{"n":%d,"ev":"e","ch":"channel:a","ep":3,"seq":%d,"d":{"i":%d}}`, n, i, i))
		}
		if n := x.s.N(); n != 1000 {
			t.Errorf("n = %d", n)
		}
	})
}

// Within a tick frames wait, exactly one caller owes the flush, and one write
// takes all of them.
func TestFramesWithinATickAreJoined(t *testing.T) {
	x := open(t, Config{Tick: patience}, Native, nil)
	now := Now()
	if x.s.Push(eventN(0), now) {
		t.Fatal("the first was deferred")
	}
	if !x.s.Push(eventN(1), now) {
		t.Fatal("the second was not deferred")
	}
	for i := 2; i < 100; i++ {
		if x.s.Push(eventN(i), now) {
			t.Fatalf("push %d owes a second flush", i)
		}
	}
	if n, _ := x.s.Queued(); n != 99 {
		t.Fatalf("queued %d", n)
	}
	before := x.s.Counts().Writes
	x.s.Flush()
	if w := x.s.Counts().Writes - before; w != 1 {
		t.Errorf("%d writes for one flush", w)
	}
	for i := range 100 {
		x.c.expectText(fmt.Sprintf(`{"n":%d,"ev":"e","ch":"channel:a","ep":3,"seq":%d,"d":{"i":%d}}`, i+1, i, i))
	}
	if !x.s.Push(eventN(100), now) {
		t.Error("nobody owes the next flush")
	}
	x.s.Send([]byte(`{"id":1,"ok":null}`)) // takes along what waits
	x.c.expectText(`{"n":101,"ev":"e","ch":"channel:a","ep":3,"seq":100,"d":{"i":100}}`)
	x.c.expectText(`{"id":1,"ok":null}`)
}

// Beyond the budget even quiet sockets wait for the flush, and the budget comes
// back with time.
func TestQuietWritesHaveABudget(t *testing.T) {
	x := open(t, Config{Tick: time.Nanosecond, QuietWrites: 100}, SocketIO, nil)
	now := Now()
	sent := 0
	for ; !x.s.Push(eventN(sent), now); now++ {
		if sent++; sent > 12 {
			t.Fatal("no budget")
		}
	}
	if sent < 10 {
		t.Errorf("only %d written at once", sent)
	}
	x.s.Flush()
	now += int64(time.Second)
	if x.s.Push(eventN(sent+1), now) {
		t.Error("still without budget")
	}
	for i := range sent + 2 {
		x.c.expectText(fmt.Sprintf(`42["e",{"i":%d}]`, i))
	}
}

func TestFlushLater(t *testing.T) {
	transports(t, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		x := open(t, Config{}, SocketIO, wrap)
		now := Now()
		for i := range 10 {
			if x.s.Push(eventN(i), now) {
				x.s.FlushLater()
			}
		}
		for i := range 10 {
			x.c.expectText(fmt.Sprintf(`42["e",{"i":%d}]`, i))
		}
	})
}

func TestQuietPushDoesNotAllocate(t *testing.T) {
	x := open(t, Config{Tick: -1}, Native, nil)
	go func() {
		var b [4096]byte
		for {
			if _, err := x.c.conn.Read(b[:]); err != nil {
				return
			}
		}
	}()
	f := eventN(1)
	f.Native(1)
	if n := testing.AllocsPerRun(500, func() { x.s.Push(f, Now()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	reply := []byte(`{"id":1,"ok":null}`)
	if n := testing.AllocsPerRun(500, func() { x.s.Send(reply) }); n != 0 {
		t.Errorf("%v allocations per reply", n)
	}
}
