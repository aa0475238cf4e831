package rookeryws

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"pgregory.net/rapid"

	"github.com/rookery-chat/rookery/protocol"
)

func TestDecodeRequest(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Request
	}{
		{`{"op":"ping"}`, Request{Op: "ping"}},
		{` { "id" : 7 , "op" : "message.send" , "d" : {"x":"},"} } `, Request{Op: "message.send", ID: 7, D: json.RawMessage(`{"x":"},"}`)}},
		{`{"op":"ack","n":4712}`, Request{Op: "ack", N: 4712}},
		{`{"op":"\u0061ck","n":0}`, Request{Op: "ack"}},
		{`{"op":"x","d":null,"future":[{"op":"no"}]}`, Request{Op: "x"}},
		{`{"op":"x","id":9007199254740991}`, Request{Op: "x", ID: 1<<53 - 1}},
		{`{"op":"a","op":"b"}`, Request{Op: "b"}},
	} {
		got, err := DecodeRequest([]byte(tt.in))
		if err != nil || got.Op != tt.want.Op || got.ID != tt.want.ID || got.N != tt.want.N || string(got.D) != string(tt.want.D) {
			t.Errorf("DecodeRequest(%s) = %+v, %v, want %+v", tt.in, got, err, tt.want)
		}
	}
}

func TestDecodeRequestRefuses(t *testing.T) {
	for in, want := range map[string]*Error{
		``:             ErrJSON,
		`{`:            ErrJSON,
		`{"op":"x"}{}`: ErrJSON,
		`[]`:           ErrShape,
		`"x"`:          ErrShape,
		`{}`:           ErrOp,
		`{"op":1}`:     ErrOp,
		`{"op":""}`:    ErrOp,
		`{"op":"` + strings.Repeat("x", 65) + `"}`:       ErrOp,
		`{"op":"x","id":0}`:                              ErrID,
		`{"op":"x","id":-1}`:                             ErrID,
		`{"op":"x","id":1.0}`:                            ErrID,
		`{"op":"x","id":"1"}`:                            ErrID,
		`{"op":"x","id":null}`:                           ErrID,
		`{"op":"x","id":9007199254740992}`:               ErrID,
		`{"op":"ack","n":-1}`:                            ErrN,
		`{"op":"ack","n":"1"}`:                           ErrN,
		`{"op":"x","d":[]}`:                              ErrD,
		`{"op":"x","d":1}`:                               ErrD,
		`{"op":"` + strings.Repeat("x", MaxFrame) + `"}`: ErrTooLarge,
	} {
		if _, err := DecodeRequest([]byte(in)); !errors.Is(err, want) {
			t.Errorf("DecodeRequest(%.80s) = %v, want %v", in, err, want)
		}
	}
}

func TestDecodeHello(t *testing.T) {
	h, err := DecodeHello(json.RawMessage(`{"token":"t","resume":{"session":"s_9f","n":4711,"at":{"channel:a":[3,42],"channel:b":[3,42,7]}},
		"focus":["channel:a"],"mode":"focused","client":{"name":"x","version":"1"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if h.Token != "t" || h.Resume.Session != "s_9f" || h.Resume.N != 4711 || h.Resume.At["channel:a"] != (Position{3, 42, -1}) || h.Resume.At["channel:b"] != (Position{3, 42, 7}) ||
		h.Focus[0] != "channel:a" || h.Mode != ModeFocused || h.Client != (Client{"x", "1"}) {
		t.Fatalf("%+v", h)
	}
	if h, err := DecodeHello(json.RawMessage(`{"token":"t"}`)); err != nil || h.Mode != ModeAll || h.Resume != nil {
		t.Fatalf("%+v, %v", h, err)
	}
	if h, err := DecodeHello(nil); err != nil || h.Mode != ModeAll {
		t.Fatalf("%+v, %v", h, err)
	}
	var many []string
	for i := range MaxFocus + 1 {
		many = append(many, fmt.Sprintf(`"channel:%d"`, i))
	}
	for in, want := range map[string]*Error{
		`{"token":1}`:                                 ErrD,
		`{"mode":"loud"}`:                             ErrD,
		`{"resume":{"n":-1}}`:                         ErrD,
		`{"resume":{"n":1.5}}`:                        ErrD,
		`{"resume":{"at":{"a":[1]}}}`:                 ErrD,
		`{"resume":{"at":{"a":[1,-2]}}}`:              ErrD,
		`{"resume":{"at":{"a":[]}}}`:                  ErrD,
		`{"resume":{"at":{"a":[1,2,-1]}}}`:            ErrD,
		`{"resume":{"at":{"a":[1,2,3,4]}}}`:           ErrD,
		`{"focus":[` + strings.Join(many, ",") + `]}`: ErrLimit,
	} {
		if _, err := DecodeHello(json.RawMessage(in)); !errors.Is(err, want) {
			t.Errorf("DecodeHello(%.60s) = %v, want %v", in, err, want)
		}
	}
	if _, err := DecodeFocus(json.RawMessage(`{"channels":[` + strings.Join(many, ",") + `]}`)); !errors.Is(err, ErrLimit) {
		t.Errorf("focus: %v", err)
	}
	f, err := DecodeFocus(json.RawMessage(`{"channels":["channel:a"],"community":"c"}`))
	if err != nil || f.Community != "c" || len(f.Channels) != 1 {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestEncodeGolden(t *testing.T) {
	event := Event{Name: "newMessage", Stream: "channel:a", Epoch: 3, Seq: 42, D: json.RawMessage(`{"message":{}}`)}
	slow := &protocol.Error{Code: protocol.CodeSlowMode, Message: `Slow "mode"`, RetryAfter: 1800 * time.Millisecond}
	invalid := &protocol.Error{Code: protocol.CodeInvalid, Message: "Bad Request", Fields: []protocol.FieldError{
		{Field: "spans", Message: "spans must be an array"}, {Field: "channelId", Message: "channelId must be a UUID"}, {Field: "spans", Message: "spans is short"},
	}}
	for want, got := range map[string][]byte{
		`{"id":7,"ok":{"seq":42}}`: AppendOK(nil, 7, json.RawMessage(`{"seq":42}`)),
		`{"id":7,"ok":null}`:       AppendOK(nil, 7, nil),
		`{"id":7,"err":{"code":"slow_mode","status":403,"message":"Slow \"mode\"","retryAfterMs":1800}}`:                                                                                 AppendErr(nil, 7, slow),
		`{"id":8,"err":{"code":"invalid","status":400,"message":"Bad Request","fields":{"spans":["spans must be an array","spans is short"],"channelId":["channelId must be a UUID"]}}}`: AppendErr(nil, 8, invalid),
		`{"n":4712,"ev":"newMessage","ch":"channel:a","ep":3,"seq":42,"d":{"message":{}}}`:                                                                                               AppendEventTail(AppendEventHead(nil, 4712), event),
		`{"n":1,"ev":"bare"}`:                                   AppendEventTail(AppendEventHead(nil, 1), Event{Name: "bare"}),
		`{"ev":"ready","d":{"session":"s"}}`:                    AppendReady(nil, json.RawMessage(`{"session":"s"}`)),
		`{"ev":"resumed","d":{"session":"s_9f","replayed":17}}`: AppendResumed(nil, "s_9f", 17),
		`{"ev":"reset","d":{"reason":"overflow"}}`:              AppendReset(nil, ResetOverflow),
		`{"ev":"pong"}`:                                         []byte(PongFrame),
		`{"retryAfterMs":1500}`:                                 []byte(DrainReason(1500 * time.Millisecond)),
	} {
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if !json.Valid(got) {
			t.Errorf("not JSON: %s", got)
		}
	}
}

func TestCloseReasons(t *testing.T) {
	for _, code := range []ws.StatusCode{ws.StatusGoingAway, CloseGoingAway, CloseNoHello, CloseBadToken, CloseRevoked, CloseTooMany,
		CloseBadFrame, CloseSlowReader, CloseReplaced, CloseUnavailable} {
		if r := CloseReason(code); r == "" || len(r) > ws.MaxControlFramePayloadSize-2 {
			t.Errorf("%d: %q", code, r)
		}
	}
}

func TestRequestsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := struct {
			Op string            `json:"op"`
			ID int64             `json:"id,omitempty"`
			N  int64             `json:"n,omitempty"`
			D  map[string]string `json:"d,omitempty"`
		}{
			rapid.StringN(1, 16, MaxOp).Draw(t, "op"), rapid.Int64Range(0, 1<<53-1).Draw(t, "id"),
			rapid.Int64Range(0, 1<<53-1).Draw(t, "n"), rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "d"),
		}
		raw, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		r, err := DecodeRequest(raw)
		if err != nil || r.Op != in.Op || r.ID != in.ID || r.N != in.N {
			t.Fatalf("%s: %+v, %v", raw, r, err)
		}
		var d map[string]string
		if len(r.D) > 0 {
			if err := json.Unmarshal(r.D, &d); err != nil {
				t.Fatal(err)
			}
		}
		if len(d) != len(in.D) {
			t.Fatalf("%v != %v", d, in.D)
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	for _, seed := range []string{
		`{"op":"hello","d":{"token":"t"}}`, `{"id":7,"op":"message.send","d":{"channelId":"x"}}`, `{"op":"ack","n":4712}`, `{"op":"ping"}`,
		`{}`, `[]`, `{"op":"x","d":[1]}`, `{"op":"\ud800"}`, `{"":{"op":"}"},"op":"y"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRequest(b)
		if err != nil {
			var typed *Error
			if !errors.As(err, &typed) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		var std map[string]json.RawMessage
		if err := json.Unmarshal(b, &std); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if r.Op == "" || (r.D != nil && !json.Valid(r.D)) {
			t.Fatalf("%+v", r)
		}
	})
}

func FuzzDecodeHello(f *testing.F) {
	f.Add([]byte(`{"token":"t","resume":{"session":"s","n":1,"at":{"a":[1,2]}},"focus":["a"],"mode":"all","client":{"name":"x","version":"1"}}`))
	f.Add([]byte(`{"mode":"focused"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := DecodeHello(b)
		var typed *Error
		if err != nil && !errors.As(err, &typed) {
			t.Fatalf("untyped error %v", err)
		}
		if err == nil && len(h.Focus) > MaxFocus {
			t.Fatal("limit")
		}
	})
}

func FuzzDecodeFocus(f *testing.F) {
	f.Add([]byte(`{"channels":["a"],"community":"c"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := DecodeFocus(b)
		var typed *Error
		if err != nil && !errors.As(err, &typed) {
			t.Fatalf("untyped error %v", err)
		}
	})
}
