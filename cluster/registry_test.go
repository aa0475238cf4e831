package cluster_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/protocol"
)

type everything struct {
	protocol.FieldError
	ID       protocol.UserID            `json:"id"`
	Parent   *protocol.ChannelID        `json:"parent"`
	At       time.Time                  `json:"at"`
	Wait     time.Duration              `json:"wait"`
	Raw      json.RawMessage            `json:"raw"`
	Bytes    []byte                     `json:"bytes"`
	Empty    []string                   `json:"empty"`
	Nil      []string                   `json:"nil"`
	Scores   map[protocol.UserID]int    `json:"scores"`
	Names    map[string][]protocol.Code `json:"names"`
	Big      uint64                     `json:"big"`
	Negative int64                      `json:"negative"`
	Ratio    float64                    `json:"ratio"`
	Anything any                        `json:"anything"`
	Kept     string                     `json:"-" cbor:"kept"`
	Home     chan int                   `json:"-" cbor:"-"`
}

func TestRegistryRoundTrip(t *testing.T) {
	r := newRegistry()
	cluster.Register[everything](r, "test.everything")
	user, channel := protocol.NewID[struct{}](), protocol.ChannelID(protocol.NewRandomID[struct{}]())
	full := everything{
		FieldError: protocol.FieldError{Field: "f", Rule: "r", Message: "m"},
		ID:         protocol.UserID(user), Parent: &channel,
		At:   time.Date(2026, 11, 22, 20, 45, 1, 123456789, time.FixedZone("", 3600)),
		Wait: time.Minute + 1, Raw: json.RawMessage(`{"a":[1,null]}`), Bytes: []byte{0, 255}, Empty: []string{},
		Scores: map[protocol.UserID]int{protocol.UserID(user): 7}, Names: map[string][]protocol.Code{"x": {protocol.CodeConflict}},
		Big: 1<<64 - 1, Negative: -1 << 63, Ratio: 0.1, Anything: map[string]any{"k": "v"}, Kept: "kept",
	}
	for _, want := range []any{
		full, &full, everything{}, "text", "not \xff utf-8", true, 42, []byte("x"), []string{"a"}, nil, struct{}{},
		json.RawMessage(`1`), protocol.ErrForbidden, add{3},
	} {
		env, err := r.Encode(want)
		if err != nil {
			t.Fatalf("%T: %v", want, err)
		}
		got, err := r.Decode(env)
		if err != nil {
			t.Fatalf("%T: %v", want, err)
		}
		if d := cmp.Diff(want, got, cmp.Comparer(func(a, b chan int) bool { return a == b })); d != "" {
			t.Errorf("%T changed on the way:\n%s", want, d)
		}
	}
	if got := roundTrip(t, r, full).(everything); got.At.Nanosecond() != 123456789 || got.Empty == nil || got.Nil != nil {
		t.Errorf("nanoseconds %d, empty %v, nil %v", got.At.Nanosecond(), got.Empty, got.Nil)
	}
}

func roundTrip(t *testing.T, r *cluster.Registry, v any) any {
	t.Helper()
	env, err := r.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Decode(env)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRegistryTypes(t *testing.T) {
	r := newRegistry()
	for _, typ := range r.Types() {
		zero := reflect.New(typ.Go).Elem().Interface()
		if got := roundTrip(t, r, zero); reflect.TypeOf(got) != typ.Go {
			t.Errorf("%s: got %T", typ.Name, got)
		}
	}
}

func TestRegistryRefuses(t *testing.T) {
	r := newRegistry()
	if _, err := r.Encode(private{}); !errors.Is(err, cluster.ErrUnregistered) {
		t.Errorf("unregistered: %v", err)
	}
	type hidden struct{ x int }
	type dashed struct {
		X int `json:"-"`
	}
	type channel struct{ C chan int }
	type function struct{ F []func() }
	type iface struct{ E error }
	type nested struct{ M map[string]*hidden }
	_ = hidden{}.x
	for name, register := range map[string]func(){
		"unexported field": func() { cluster.Register[hidden](r, "a") },
		"json dash":        func() { cluster.Register[dashed](r, "b") },
		"channel":          func() { cluster.Register[channel](r, "c") },
		"function":         func() { cluster.Register[function](r, "d") },
		"interface":        func() { cluster.Register[iface](r, "e") },
		"nested":           func() { cluster.Register[nested](r, "f") },
		"taken name":       func() { cluster.Register[struct{ A int }](r, "test.add") },
		"second name":      func() { cluster.Register[add](r, "g") },
		"reserved name":    func() { cluster.Register[struct{ B int }](r, "!x") },
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("was accepted")
				}
			}()
			register()
		})
	}
}

func FuzzDecode(f *testing.F) {
	r := newRegistry()
	cluster.Register[everything](r, "test.everything")
	env, err := r.Encode(&everything{Names: map[string][]protocol.Code{"x": nil}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(env.Type, env.Body)
	f.Add("*test.add", []byte{0xa1, 0x61, 0x4e, 0x01})
	f.Add("strings", []byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		env.Type, env.Body = name, body
		if v, err := r.Decode(env); err == nil {
			if _, err := r.Encode(v); err != nil {
				t.Fatalf("%T cannot go back: %v", v, err)
			}
		}
	})
}
