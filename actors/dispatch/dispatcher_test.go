package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// recorder stands in for the cluster: it notes what was asked and answers with
// an empty reply of the row's type.
type recorder struct {
	mu    sync.Mutex
	kind  string
	id    string
	msg   any
	asked int
	reply any
	err   error
}

func (r *recorder) Ask(_ context.Context, kind, id string, msg any) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kind, r.id, r.msg = kind, id, msg
	r.asked++
	if fault := faultOf(msg); fault != nil {
		return nil, fault
	}
	return r.reply, r.err
}

func faultOf(msg any) *protocol.Error {
	if cmd, ok := msg.(protocol.AnyCommand); ok {
		return cmd.Fault()
	}
	return nil
}

// plainHasher shows what would be hashed.
type plainHasher struct{}

func (plainHasher) Verify(_ context.Context, hash, password string) (ok, renew bool, err error) {
	return hash == "hash of "+password, false, nil
}

func (plainHasher) Hash(_ context.Context, password string) (string, error) {
	return "hash of " + password, nil
}

func newDispatcher(t testing.TB) (*Dispatcher, *recorder) {
	t.Helper()
	r := &recorder{reply: &protocol.Done{}}
	d := New(Config{Cluster: r, DB: pgtest.New(t), Passwords: plainHasher{}})
	d.know(someUUID)
	return d, r
}

// know makes the id that of a channel and of a community that exist.
func (d *Dispatcher) know(id string) {
	known, err := protocol.ParseID[struct{}](id)
	if err != nil {
		panic(err)
	}
	d.channels.Add(protocol.ChannelID(known), protocol.CommunityID(known))
	d.communities.Add(protocol.CommunityID(known), protocol.CommunityID(known))
}

var (
	ada   = protocol.Caller{UserID: protocol.UserID(protocol.NewID[struct{}]())}
	owner = protocol.Caller{UserID: protocol.UserID(protocol.NewID[struct{}]()), Owner: true}
)

func TestRouting(t *testing.T) {
	d, r := newDispatcher(t)
	body := func(s string) Input { return Input{Body: json.RawMessage(s)} }
	valid := `{"channelId":"` + someUUID + `","spans":[{"type":"PLAINTEXT","text":"x"}],"attachments":[]}`
	path := func(name, v string) Input { return Input{Path: map[string]string{name: v}} }
	tests := []struct {
		name   string
		op     *protocol.Operation
		caller protocol.Caller
		in     Input
		kind   string // asked; empty: nobody
		id     string
		want   error
	}{
		{"direct", &protocol.MessageSend.Operation, ada, body(valid), "channel", someUUID, nil},
		{"anonymous", &protocol.MessageSend.Operation, protocol.Caller{}, body(valid), "", "", protocol.ErrUnauthorized},
		{"invalid travels to the owner of the state", &protocol.MessageSend.Operation, ada, body(`{"channelId":"` + someUUID + `"}`),
			"channel", someUUID, &protocol.Error{Code: protocol.CodeInvalid}},
		{"no key", &protocol.MessageSend.Operation, ada, body(`{}`), "", "", protocol.ErrForbidden},
		{"no key, instance owner", &protocol.MessageSend.Operation, owner, body(`{}`), "", "", &protocol.Error{Code: protocol.CodeInvalid}},
		{"valid but no key, instance owner", &protocol.MessageSend.Operation, owner, body(`{"spans":[{"type":"PLAINTEXT","text":"x"}],"attachments":[]}`),
			"", "", &protocol.Error{Code: protocol.CodeInvalid}},
		{"malformed key", &protocol.MessageGet.Operation, ada, path("id", "xx"), "", "", protocol.ErrForbidden},
		{"malformed key, instance owner", &protocol.MessageGet.Operation, owner, path("id", "xx"), "", "", protocol.ErrBadPathUUID},
		{"unknown message", &protocol.MessageGet.Operation, ada, path("id", someUUID), "", "", protocol.ErrForbidden},
		{"unknown message, instance owner", &protocol.MessageGet.Operation, owner, path("id", someUUID), "", "", protocol.NotFound("Message not found")},
		{"unknown channel", &protocol.ChannelGet.Operation, ada, path("id", noUUID), "", "", protocol.ErrForbidden},
		{"unknown channel, instance owner", &protocol.ChannelGet.Operation, owner, path("id", noUUID), "", "", protocol.NotFound("Channel not found")},
		{"all zero", &protocol.CommunityGet.Operation, owner, path("id", protocol.AnyID{}.String()), "", "", protocol.NotFound("Community not found")},
		{"singleton", &protocol.OnboardingGet.Operation, protocol.Caller{}, Input{}, "instance", "instance", nil},
		{"edge, permission first", &protocol.InviteList.Operation, ada, Input{}, "", "", protocol.ErrForbidden},
		{"sessions are not here", &protocol.SessionList.Operation, ada, Input{}, "", "", unknownOperation},
		{"presence of nobody", &protocol.PresenceGet.Operation, ada, path("userId", "nobody"), "", "", nil},
		{"presence of whom he may not see", &protocol.PresenceGet.Operation, ada, path("userId", someUUID), "", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			*r = recorder{reply: &protocol.Done{}}
			_, err := d.Do(context.Background(), tt.op, tt.caller, tt.in)
			if r.kind != tt.kind || r.id != tt.id {
				t.Errorf("asked %q %q, want %q %q", r.kind, r.id, tt.kind, tt.id)
			}
			var got, want *protocol.Error
			errors.As(err, &got)
			errors.As(tt.want, &want)
			switch {
			case (got == nil) != (want == nil), got != nil && got.Code != want.Code:
				t.Errorf("error = %v, want %v", err, tt.want)
			case got != nil && want.Message != "" && got.Message != want.Message:
				t.Errorf("text = %q, want %q", got.Message, want.Message)
			}
		})
	}
}

func TestNewActorHasTheNewID(t *testing.T) {
	d, r := newDispatcher(t)
	if _, err := d.Do(context.Background(), &protocol.CommunityCreate.Operation, ada, Input{Body: json.RawMessage(`{"name":"n"}`)}); err != nil {
		t.Fatal(err)
	}
	if id := r.msg.(*protocol.Command[protocol.CreateCommunity]).Req.ID; id.IsZero() || r.id != id.String() {
		t.Errorf("asked community %s to be created as %v", r.id, id)
	}
}

func TestPasswordsAreHashedAtTheEdge(t *testing.T) {
	d, r := newDispatcher(t)
	do := func(body string) *protocol.Command[protocol.RegisterUser] {
		_, _ = d.Do(context.Background(), &protocol.UserRegister.Operation, protocol.Caller{}, Input{Body: json.RawMessage(body)})
		return r.msg.(*protocol.Command[protocol.RegisterUser])
	}
	if cmd := do(`{"code":"c","username":"ada","password":"longenough"}`); cmd.Req.Password != "" || cmd.Req.Hash != "hash of longenough" || cmd.Req.ID.IsZero() {
		t.Errorf("command = %+v", cmd.Req)
	}
	if cmd := do(`{"code":"c","username":"a d a","password":"longenough"}`); cmd.Req.Password != "" || cmd.Req.Hash != "" || cmd.Invalid == nil {
		t.Errorf("invalid command = %+v", cmd.Req)
	}
	long := strings.Repeat("x", 1025)
	body := fmt.Sprintf(`{"adminUsername":"ada","adminPassword":%q,"instanceName":"n","setupToken":"t"}`, long)
	_, _ = d.Do(context.Background(), &protocol.OnboardingSetup.Operation, protocol.Caller{}, Input{Body: json.RawMessage(body)})
	if cmd := r.msg.(*protocol.Command[protocol.SetupInstance]); cmd.Invalid == nil || cmd.Req.AdminPassword != "" {
		t.Errorf("a password of 1,025 bytes was accepted: %+v", cmd.Invalid)
	}
}

func TestSendsAreFoundAgain(t *testing.T) {
	d, r := newDispatcher(t)
	channel := protocol.ChannelID(protocol.NewID[struct{}]())
	m := &protocol.Message{ID: protocol.MessageID(protocol.NewID[struct{}]()), ChannelID: &channel}
	r.reply = m
	d.know(channel.String())
	send := `{"channelId":"` + channel.String() + `","spans":[{"type":"PLAINTEXT","text":"x"}],"attachments":[]}`
	if _, err := d.Do(context.Background(), &protocol.MessageSend.Operation, ada, Input{Body: json.RawMessage(send)}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Do(context.Background(), &protocol.MessageGet.Operation, ada, Input{Path: map[string]string{"id": m.ID.String()}}); err != nil {
		t.Fatal(err) // the message is not in Postgres: only the cache knows it
	}
	if r.id != channel.String() {
		t.Errorf("asked %s, want %s", r.id, channel)
	}
}

func TestMadeUpIDsActivateNothing(t *testing.T) {
	d, r := newDispatcher(t)
	unknown := protocol.NewID[struct{}]().String()
	list := Input{Path: map[string]string{"channelId": unknown}}
	members := Input{Path: map[string]string{"communityId": unknown}}
	for _, c := range []struct {
		op     *protocol.Operation
		caller protocol.Caller
		in     Input
		want   string
	}{
		{&protocol.MessageList.Operation, ada, list, "Forbidden resource"},
		{&protocol.MessageList.Operation, owner, list, "Channel not found"},
		{&protocol.MemberList.Operation, ada, members, "Forbidden resource"},
		{&protocol.MemberList.Operation, owner, members, "Community not found"},
	} {
		_, err := d.Do(context.Background(), c.op, c.caller, c.in)
		var e *protocol.Error
		if !errors.As(err, &e) || e.Message != c.want {
			t.Errorf("%s: %v, want %s", c.op.Name, err, c.want)
		}
	}
	if r.asked > 0 {
		t.Errorf("%d actors were asked", r.asked)
	}
}

func TestPagesAreCopiedStraight(t *testing.T) {
	d, r := newDispatcher(t)
	r.reply = &protocol.PageGrant{Page: json.RawMessage(`{"messages":[]}`)}
	in := Input{Path: map[string]string{"channelId": someUUID}}
	got, err := d.Do(context.Background(), &protocol.MessageList.Operation, ada, in)
	if raw, ok := got.(json.RawMessage); err != nil || !ok || string(raw) != `{"messages":[]}` {
		t.Errorf("page = %v, %v", got, err)
	}
	r.reply = &protocol.PageGrant{Limit: 10}
	got, err = d.Do(context.Background(), &protocol.MessageList.Operation, ada, in)
	if raw, ok := got.(json.RawMessage); err != nil || !ok || string(raw) != `{"messages":[]}` {
		t.Errorf("page of Postgres = %s, %v", got, err)
	}
}

func TestColdReads(t *testing.T) {
	d, r := newDispatcher(t)
	r.reply = &protocol.MembersGrant{}
	instance := protocol.Caller{UserID: ada.UserID, Actions: protocol.NewActionSet(protocol.ActionReadInstanceInvite)}
	for _, tt := range []struct {
		op     *protocol.Operation
		caller protocol.Caller
		in     Input
		want   string
	}{
		{&protocol.MemberList.Operation, ada, Input{Path: map[string]string{"communityId": someUUID}}, `[]`},
		{&protocol.CommunityMine.Operation, ada, Input{}, `[]`},
		{&protocol.InviteList.Operation, instance, Input{}, `[]`},
		{&protocol.InviteList.Operation, owner, Input{}, `[]`},
	} {
		got, err := d.Do(context.Background(), tt.op, tt.caller, tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.op.Name, err)
			continue
		}
		if b, err := json.Marshal(got); err != nil || string(b) != tt.want {
			t.Errorf("%s = %s, %v, want %s", tt.op.Name, b, err, tt.want)
		}
	}
	for op, text := range map[*protocol.Operation]string{&protocol.InvitePublic.Operation: "Invite not found", &protocol.UserProfile.Operation: "User not found"} {
		_, err := d.Do(context.Background(), op, ada, Input{Path: map[string]string{"code": "x\xff"}})
		if !errors.Is(err, protocol.NotFound("")) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: error = %v, want %s", op.Name, err, text)
		}
	}
}

func TestInternalErrorsAreNotShown(t *testing.T) {
	d, r := newDispatcher(t)
	for _, tt := range []struct{ err, want error }{
		{errors.New("secret"), protocol.ErrInternal},
		{context.DeadlineExceeded, protocol.ErrDeadline},
		{fmt.Errorf("wrapped: %w", protocol.Conflict("taken")), protocol.Conflict("taken")},
	} {
		r.err = tt.err
		_, err := d.Do(context.Background(), &protocol.OnboardingGet.Operation, protocol.Caller{}, Input{})
		if !errors.Is(err, tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("error = %v, want %v", err, tt.want)
		}
	}
}

// Samples are one valid request per row that takes input.
var samples = map[string]string{
	"message.send": `{"channelId":"` + someUUID + `","spans":[{"type":"PLAINTEXT","text":"hello"},{"type":"USER_MENTION","text":"@a","userId":"` + someUUID +
		`"}],"attachments":["` + someUUID + `"],"pendingAttachments":1,"nonce":"n-1"}`,
	"message.edit":     `{"id":"` + someUUID + `","spans":[{"type":"PLAINTEXT","text":"hello"}],"attachments":[]}`,
	"message.list":     `{"channelId":"` + someUUID + `","limit":25,"continuationToken":"` + someUUID + `","direction":"newer"}`,
	"reaction.add":     `{"messageId":"` + someUUID + `","emoji":"😀"}`,
	"reaction.remove":  `{"messageId":"` + someUUID + `","emoji":"😀"}`,
	"community.create": `{"name":"n","description":"d","avatar":null,"banner":"` + someUUID + `"}`,
	"channel.create":   `{"communityId":"` + someUUID + `","name":"n","type":"TEXT","isPrivate":false,"position":1,"slowmodeSeconds":5}`,
	"member.add":       `{"communityId":"` + someUUID + `","userId":"` + someUUID + `"}`,
	"invite.create":    `{"maxUses":5,"validUntil":"2030-01-02T03:04:05Z","communityIds":["` + someUUID + `"]}`,
	"invite.public":    `{"code":"welcome-12345678"}`,
	"user.register":    `{"code":"c","username":"ada","password":"longenough","email":"a@b.test"}`,
	"user.ban":         `{"id":"` + someUUID + `","banned":true}`,
	"onboarding.setup": `{"adminUsername":"ada","adminPassword":"longenough","adminEmail":"a@b.test","instanceName":"n","instanceDescription":"d","defaultCommunityName":"g","createDefaultCommunity":true,"setupToken":"t"}`,
	"presence.get":     `{"userId":"` + someUUID + `"}`,
}

// sampleOf is a request of the row as sockets send it.
func sampleOf(op *protocol.Operation) string {
	if s := samples[op.Name]; s != "" {
		return s
	}
	fields := map[string]string{}
	for i := range op.Request().NumField() {
		name, _, _ := strings.Cut(op.Request().Field(i).Tag.Get("json"), ",")
		fields[name] = someUUID
	}
	b, _ := json.Marshal(fields)
	return string(b)
}

// Whatever is done to a valid request, the answer is never a 5xx, and what is
// shown is always a *protocol.Error.
func TestMutatedRequestsAreNeverInternal(t *testing.T) {
	d, r := newDispatcher(t)
	rounds := 1000
	if testing.Short() {
		rounds = 100
	}
	everything := owner
	everything.Actions = ^protocol.ActionSet(0)
	for _, op := range protocol.Operations() {
		rnd := rand.New(rand.NewPCG(1, uint64(len(op.Name))))
		r.reply = reflect.New(op.Reply()).Interface()
		for range rounds {
			body := mutate(rnd, sampleOf(op))
			caller := ada
			if rnd.IntN(2) == 0 {
				caller = everything
			}
			checkNotInternal(t, d, op, caller, Input{Body: json.RawMessage(body)})
			checkNotInternal(t, d, op, caller, asREST(op, body))
		}
	}
}

func checkNotInternal(t *testing.T, d *Dispatcher, op *protocol.Operation, caller protocol.Caller, in Input) {
	t.Helper()
	_, err := d.Do(context.Background(), op, caller, in)
	if err == nil {
		return
	}
	var shown *protocol.Error
	if !errors.As(err, &shown) || shown.Status() >= 500 {
		t.Fatalf("%s %s %v %v: %v", op.Name, in.Body, in.Path, in.Query, err)
	}
}

// asREST moves fields to where REST has them.
func asREST(op *protocol.Operation, body string) Input {
	in := Input{Path: map[string]string{}, Query: map[string]string{}, Body: json.RawMessage(body)}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(body), &fields) != nil {
		return in
	}
	for i := range op.Request().NumField() {
		tag := op.Request().Field(i).Tag
		name, _, _ := strings.Cut(tag.Get("json"), ",")
		v := valueOf(fields[name])
		s := v.str
		if v.kind != text {
			s = string(v.raw)
		}
		if p := tag.Get("path"); p != "" {
			in.Path[p] = s
		}
		if q := tag.Get("query"); q != "" && v.kind != absent {
			in.Query[q] = s
		}
	}
	return in
}

// hostile are values that have broken servers before.
var hostile = []string{
	`null`, `true`, `0`, `-1`, `1.5`, `1e308`, `1e999`, `-0`, `9007199254740993`, `99999999999999999999`, `""`, `" "`, `"\u0000"`, `"\ud800"`,
	`"a\u0000b"`, `[]`, `[null]`, `[[]]`, `[{}]`, `{}`, `{"a":1}`, `"00000000-0000-0000-0000-000000000000"`, `"` + someUUID + `"`, `"2030-01-01"`, `"0000-00-00"`,
	`"-271821-04-20T00:00:00.000Z"`, `8.64e15`, `-8.64e15`, `"` + strings.Repeat("x", 5000) + `"`, `"` + strings.Repeat("\u2764\uFE0F", 40) + `"`, `{"type":"PLAINTEXT","text":"x"}`,
	`[{"type":"PLAINTEXT","text":"\u0000"}]`, `[{"type":"USER_MENTION","userId":5}]`, `"'; DROP TABLE message; --"`, `"\\u0000"`, `"constructor"`, `"%00"`,
}

// mutate changes a request: one to three of its values, its keys, or itself.
func mutate(rnd *rand.Rand, sample string) string {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(sample), &fields); err != nil || len(fields) == 0 || rnd.IntN(20) == 0 {
		return hostile[rnd.IntN(len(hostile))]
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	for range 1 + rnd.IntN(3) {
		name := names[rnd.IntN(len(names))]
		switch rnd.IntN(5) {
		case 0:
			delete(fields, name)
		case 1:
			fields[strings.ToUpper(name)] = json.RawMessage(hostile[rnd.IntN(len(hostile))])
		case 2:
			fields[name] = json.RawMessage(`[` + hostile[rnd.IntN(len(hostile))] + `,` + hostile[rnd.IntN(len(hostile))] + `]`)
		default:
			fields[name] = json.RawMessage(hostile[rnd.IntN(len(hostile))])
		}
	}
	b, err := json.Marshal(fields)
	if err != nil {
		return sample
	}
	return string(b)
}

// FuzzDecode: decoding never panics, and a request without fault re-encodes.
func FuzzDecode(f *testing.F) {
	for i, op := range protocol.Operations() {
		f.Add(i, sampleOf(op), someUUID, "25")
	}
	for i, h := range hostile {
		f.Add(i, h, h, h)
	}
	var plans []*plan
	for _, op := range protocol.Operations() {
		plans = append(plans, newPlan(op))
	}
	f.Fuzz(func(t *testing.T, row int, body, path, query string) {
		p := plans[uint(row)%uint(len(plans))]
		in := Input{Path: map[string]string{}, Query: map[string]string{"limit": query}}
		for _, field := range p.fields {
			if field.path != "" {
				in.Path[field.path] = path
			}
		}
		if json.Valid([]byte(body)) {
			in.Body = json.RawMessage(body)
		}
		d := p.decode(protocol.Caller{}, in)
		if d.fault != nil {
			if d.fault.Status() != 400 {
				t.Fatalf("fault = %v", d.fault)
			}
			return
		}
		b, err := json.Marshal(d.command.Interface())
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsRune(string(b), 0) || hasNUL(b) {
			t.Fatalf("a NUL got through: %s", b)
		}
	})
}

// FuzzMembers: the walk over a body finds what encoding/json finds.
func FuzzMembers(f *testing.F) {
	for _, op := range protocol.Operations() {
		f.Add(sampleOf(op))
	}
	f.Add(`{"a":{"b":[1,"]}",{}]},"a" : "\\\"" , "\u00e9":-1e5,"é":null,"":[ ]}`)
	f.Fuzz(func(t *testing.T, body string) {
		var want map[string]json.RawMessage
		if json.Unmarshal([]byte(body), &want) != nil || want == nil {
			return
		}
		got := map[string]string{}
		for c := enter([]byte(strings.TrimSpace(body))); ; {
			key, v, ok := c.member()
			if !ok {
				break
			}
			got[strings.ToValidUTF8(string(key), "\uFFFD")] = string(v)
		}
		for name, v := range want {
			if got[name] != string(v) {
				t.Fatalf("%q: %q = %q, want %q", body, name, got[name], v)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%q: %d members, want %d", body, len(got), len(want))
		}
	})
}

func BenchmarkDecodeSend(b *testing.B) {
	p := newPlan(&protocol.MessageSend.Operation)
	in := Input{Body: json.RawMessage(samples["message.send"])}
	b.ReportAllocs()
	for b.Loop() {
		if d := p.decode(ada, in); d.fault != nil {
			b.Fatal(d.fault)
		}
	}
}
