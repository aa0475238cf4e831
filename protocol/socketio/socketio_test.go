package socketio

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDecode(t *testing.T) {
	for in, want := range map[string]Packet{
		`1`:                             {Kind: Close},
		`2`:                             {Kind: Ping},
		`3`:                             {Kind: Pong},
		`40`:                            {Kind: Connect},
		`40/`:                           {Kind: Connect},
		`40{"token":"Bearer x"}`:        {Kind: Connect, Auth: json.RawMessage(`{"token":"Bearer x"}`)},
		`40/,{"token":"x"}`:             {Kind: Connect, Auth: json.RawMessage(`{"token":"x"}`)},
		`40/x`:                          {Kind: Connect, Namespace: "/x"},
		`40/x,`:                         {Kind: Connect, Namespace: "/x"},
		`40/x,{"a":1}`:                  {Kind: Connect, Namespace: "/x", Auth: json.RawMessage(`{"a":1}`)},
		`41`:                            {Kind: Disconnect},
		`41/x,`:                         {Kind: Disconnect, Namespace: "/x"},
		`42["subscribeAll"]`:            {Kind: Event, Name: "subscribeAll"},
		`42[ "a" , null ]`:              {Kind: Event, Name: "a", Payload: json.RawMessage(`null`)},
		`42["a\u0062",[1,"]"]]`:         {Kind: Event, Name: "ab", Payload: json.RawMessage(`[1,"]"]`)},
		`420["sendMessage",{"x":"},"}]`: {Kind: Event, Name: "sendMessage", Payload: json.RawMessage(`{"x":"},"}`), HasAck: true},
		`4217["e",1.5]`:                 {Kind: Event, Name: "e", Payload: json.RawMessage(`1.5`), HasAck: true, AckID: 17},
		`429007199254740991["e"]`:       {Kind: Event, Name: "e", HasAck: true, AckID: 1<<53 - 1},
		`42/x,5["e"]`:                   {Kind: Event, Namespace: "/x", Name: "e", HasAck: true, AckID: 5},
	} {
		got, err := Decode([]byte(in))
		if err != nil {
			t.Errorf("Decode(%s): %v", in, err)
			continue
		}
		if got.Kind != want.Kind || got.Namespace != want.Namespace || got.Name != want.Name || got.HasAck != want.HasAck ||
			got.AckID != want.AckID || string(got.Payload) != string(want.Payload) || string(got.Auth) != string(want.Auth) {
			t.Errorf("Decode(%s) = %+v, want %+v", in, got, want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for in, want := range map[string]*Error{
		``:                                ErrEmpty,
		`0{}`:                             ErrEngineType,
		`5`:                               ErrEngineType,
		`6`:                               ErrEngineType,
		`x`:                               ErrEngineType,
		`b4AAA`:                           ErrEngineType,
		`4`:                               ErrPacketType,
		`4x`:                              ErrPacketType,
		`430[]`:                           ErrPacketType,
		`44{"message":"x"}`:               ErrPacketType,
		`451-["x",{"_placeholder":true}]`: ErrPacketType,
		`461-0[]`:                         ErrPacketType,
		`40{`:                             ErrJSON,
		`40[]`:                            ErrAuth,
		`40"x"`:                           ErrAuth,
		`40null`:                          ErrAuth,
		`401{}`:                           ErrAckID,
		`41{}`:                            ErrDisconnect,
		`42`:                              ErrJSON,
		`42{`:                             ErrJSON,
		`42["a"`:                          ErrJSON,
		`42["a"]x`:                        ErrJSON,
		`42-1["a"]`:                       ErrJSON,
		`42{"a":1}`:                       ErrEventShape,
		`42[]`:                            ErrEventShape,
		`42[1]`:                           ErrEventShape,
		`42[["a"]]`:                       ErrEventShape,
		`42["connect"]`:                   ErrEventReserved,
		`42["disconnecting",1]`:           ErrEventReserved,
		`42["a",1,2]`:                     ErrEventArgs,
		`429007199254740992["e"]`:         ErrAckID,
		`4299999999999999999999["e"]`:     ErrAckID,
	} {
		_, err := Decode([]byte(in))
		var typed *Error
		if !errors.As(err, &typed) || typed != want {
			t.Errorf("Decode(%s) = %v, want %v", in, err, want)
		}
	}
}

func TestDecodeAuth(t *testing.T) {
	for in, want := range map[string]Auth{
		``:                                     {},
		`{}`:                                   {},
		`{"token":1}`:                          {},
		`{"token":"Bearer x"}`:                 {Token: "Bearer x"},
		`{"pid":"p","offset":"7","token":"t"}`: {Token: "t", PID: "p", Offset: "7"},
	} {
		got, err := DecodeAuth(json.RawMessage(in))
		if err != nil || got != want {
			t.Errorf("DecodeAuth(%s) = %+v, %v", in, got, err)
		}
	}
	if _, err := DecodeAuth(json.RawMessage(`[]`)); !errors.Is(err, ErrAuth) {
		t.Errorf("array: %v", err)
	}
}

// The wire bytes of the contract.
func TestEncodeGolden(t *testing.T) {
	open := Open{SID: "lv_VI97HAXpY6yYWAAAC", PingInterval: 25 * time.Second, PingTimeout: time.Minute, MaxPayload: 1000000}
	for want, got := range map[string][]byte{
		`0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":25000,"pingTimeout":60000,"maxPayload":1000000}`: AppendOpen(nil, open),
		`40{"sid":"oSO0OpakMV_3jnilAAAD"}`:          AppendConnect(nil, "oSO0OpakMV_3jnilAAAD", ""),
		`40{"sid":"a","pid":"b"}`:                   AppendConnect(nil, "a", "b"),
		`44{"message":"AUTH_FAILED"}`:               AppendConnectError(nil, "", "AUTH_FAILED"),
		`44/x,{"message":"Invalid namespace"}`:      AppendConnectError(nil, "/x", "Invalid namespace"),
		`42["userOnline",{"userId":"6f1c"}]`:        AppendEvent(nil, "userOnline", json.RawMessage(`{"userId":"6f1c"}`)),
		`42["bare"]`:                                AppendEvent(nil, "bare", nil),
		`42["newMessage",{"message":{}},"n1-7"]`:    AppendEventOffset(nil, "newMessage", json.RawMessage(`{"message":{}}`), "n1-7"),
		`430["77aa"]`:                               AppendAck(nil, 0, json.RawMessage(`"77aa"`)),
		`432[{"success":true,"channelId":"x"}]`:     AppendAck(nil, 2, json.RawMessage(`{"success":true,"channelId":"x"}`)),
		`433[null]`:                                 AppendAck(nil, 3, nil),
		`2`:                                         []byte(PingPacket),
		`41`:                                        []byte(DisconnectPacket),
		`{"code":0,"message":"Transport unknown"}`:  []byte(TransportUnknown.Body()),
		`{"code":1,"message":"Session ID unknown"}`: []byte(SessionUnknown.Body()),
		`{"code":3,"message":"Bad request"}`:        []byte(BadRequest.Body()),
		`{"code":5,"message":"Unsupported protocol version"}`: []byte(UnsupportedVersion.Body()),
	} {
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestEventsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Filter(func(s string) bool { return !reserved(s) }).Draw(t, "name")
		payload := drawJSON(t)
		p, err := Decode(AppendEvent(nil, name, payload))
		if err != nil || p.Kind != Event || p.Name != name || string(p.Payload) != string(payload) || p.HasAck {
			t.Fatalf("%q %s: %+v, %v", name, payload, p, err)
		}
	})
}

func drawJSON(t *rapid.T) json.RawMessage {
	v := rapid.OneOf(
		rapid.Just[any](nil), rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.Int32(), func(n int32) any { return n }),
		rapid.Map(rapid.MapOf(rapid.String(), rapid.SliceOf(rapid.String())), func(m map[string][]string) any { return m }),
	).Draw(t, "value")
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		``, `1`, `2`, `3`, `3probe`, `40`, `40{"token":"Bearer x"}`, `40/x,{"a":1}`, `41`, `41/x,`, `42["subscribeAll"]`,
		`420["sendMessage",{"spans":[{"type":"PLAINTEXT","text":"hi"}]}]`, `42["a",1,2]`, `42[`, `451-["x"]`, `42["\ud800"]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(b)
		if err != nil {
			var typed *Error
			if !errors.As(err, &typed) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if p.Kind != Event {
			return
		}
		if p.Payload != nil && !json.Valid(p.Payload) {
			t.Fatalf("invalid payload %s", p.Payload)
		}
		again, err := Decode(AppendEvent(nil, p.Name, p.Payload))
		if err != nil || again.Name != p.Name || string(again.Payload) != string(p.Payload) {
			t.Fatalf("%s does not survive: %+v, %v", b, again, err)
		}
	})
}

func FuzzDecodeAuth(f *testing.F) {
	f.Add([]byte(`{"token":"Bearer x","pid":"p","offset":"o"}`))
	f.Add([]byte(`{"token":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := DecodeAuth(b); err != nil && !errors.Is(err, ErrAuth) {
			t.Fatal(err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	in := []byte(`420["sendMessage",{"channelId":"0b9e2b1e-0000-4000-8000-000000000000","spans":[{"type":"PLAINTEXT","text":"hello there, how are you"}],"attachments":[],"pendingAttachments":0}]`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(in); err != nil {
			b.Fatal(err)
		}
	}
}
