package dispatch

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

const (
	someUUID = "0b9e6c1a-3f4d-4b7e-9a55-0c6f2f1f9a10"
	noUUID   = "5d3a7f0e-84c1-4c2b-b6a7-1e9d40c83b52" // of nothing that exists
)

func planOf(t testing.TB, op *protocol.Operation) *plan {
	t.Helper()
	return newPlan(op)
}

// Every tag of every request is understood; newPlan panics otherwise.
func TestTableCompiles(t *testing.T) {
	for _, op := range protocol.Operations() {
		t.Run(op.Name, func(*testing.T) { newPlan(op) })
	}
}

func TestUnknownRulePanics(t *testing.T) {
	type bad struct {
		Name string `json:"name" rule:"string,sparkling"`
	}
	op := protocol.Operation{Name: "x", Home: protocol.KindInstance, Key: protocol.KeySingleton}
	defer func() {
		if p, _ := recover().(string); !strings.Contains(p, "sparkling") {
			t.Errorf("panic = %q, want one about the rule", p)
		}
	}()
	_ = op
	f, _ := typeOf[bad]().FieldByName("Name")
	compileRules("name", f.Tag.Get("rule"), f.Type)
}

// The texts were recorded from the reference, but for those about our own bounds.
func TestValidationTexts(t *testing.T) {
	x := strings.Repeat("x", 101)
	tests := []struct {
		name string
		op   *protocol.Operation
		body string
		want []string
	}{
		{"setup, nothing given", &protocol.OnboardingSetup.Operation, `{}`, []string{
			"adminUsername must be shorter than or equal to 32 characters", "adminUsername must be longer than or equal to 3 characters",
			"adminUsername must be a string", "adminUsername should not be empty",
			"adminPassword must be longer than or equal to 8 characters", "adminPassword must be a string", "adminPassword should not be empty",
			"instanceName must be shorter than or equal to 100 characters", "instanceName must be a string", "instanceName should not be empty",
			"setupToken must be a string", "setupToken should not be empty"}},
		{"setup, all wrong", &protocol.OnboardingSetup.Operation,
			`{"adminUsername":"ab","adminPassword":"short","adminEmail":"nope","instanceName":"","setupToken":"t","createDefaultCommunity":"yes"}`, []string{
				"adminUsername must be longer than or equal to 3 characters", "adminPassword must be longer than or equal to 8 characters",
				"adminEmail must be an email", "instanceName should not be empty", "createDefaultCommunity must be a boolean value"}},
		{"setup, optional null", &protocol.OnboardingSetup.Operation,
			`{"adminUsername":"abc","adminPassword":"longenough","adminEmail":null,"instanceName":"n","setupToken":"t","createDefaultCommunity":null}`, nil},
		{"community, nothing", &protocol.CommunityCreate.Operation, `{}`, []string{
			"name must be shorter than or equal to 100 characters", "name must be longer than or equal to 1 characters", "name must be a string"}},
		{"community, wrong types", &protocol.CommunityCreate.Operation, `{"name":"` + x + `","description":` + quoted(strings.Repeat("d", 501)) + `,"avatar":5}`, []string{
			"name must be shorter than or equal to 100 characters", "description must be shorter than or equal to 500 characters", "avatar must be a string"}},
		{"community, no body", &protocol.CommunityCreate.Operation, ``, []string{
			"name must be shorter than or equal to 100 characters", "name must be longer than or equal to 1 characters", "name must be a string"}},
		{"community, selectors do not count", &protocol.CommunityCreate.Operation, `{"name":"` + strings.Repeat("\u2764\uFE0F", 100) + `"}`, nil},
		{"community, code points count once", &protocol.CommunityCreate.Operation, `{"name":"` + strings.Repeat("😀", 100) + `"}`, nil},
		{"channel, wrong types", &protocol.ChannelCreate.Operation, `{"communityId":"x","isPrivate":"no","name":"","type":"FOO"}`, []string{
			"isPrivate must be a boolean value", "name should not be empty", "communityId must be a UUID", "type must be one of the following values: TEXT, VOICE"}},
		{"channel, nothing", &protocol.ChannelCreate.Operation, `{}`, []string{
			"isPrivate should not be empty", "isPrivate must be a boolean value",
			"name must be shorter than or equal to 100 characters", "name must be a string", "name should not be empty", "communityId must be a UUID",
			"communityId should not be empty", "communityId must be a string", "type must be one of the following values: TEXT, VOICE"}},
		{"channel, numbers", &protocol.ChannelCreate.Operation,
			`{"communityId":"` + someUUID + `","isPrivate":true,"name":"n","type":"TEXT","slowmodeSeconds":99999,"position":"1"}`, []string{
				"position must be a number conforming to the specified constraints", "slowmodeSeconds must not be greater than 21600"}},
		{"message, no lists", &protocol.MessageSend.Operation, `{"channelId":"` + someUUID + `"}`, []string{
			"At least one span is required", "spans must be an array", "attachments must be an array"}},
		{"message, wrong types", &protocol.MessageSend.Operation, `{"attachments":"y","spans":"x","pendingAttachments":-1}`, []string{
			"At least one span is required", "spans must be an array", "attachments must be an array", "pendingAttachments must not be less than 0"}},
		{"message, no spans", &protocol.MessageSend.Operation, `{"attachments":[],"spans":[]}`, []string{"At least one span is required"}},
		{"message, bad file", &protocol.MessageSend.Operation, `{"attachments":["x"],"spans":[{"type":"PLAINTEXT","text":"a"}]}`, []string{
			"each value in attachments must be a UUID"}},
		{"message, span without text", &protocol.MessageSend.Operation, `{"attachments":[],"spans":[{"type":"PLAINTEXT","text":null}]}`, []string{
			"text of each span must be a string"}},
		{"message, span of unknown type", &protocol.MessageSend.Operation, `{"attachments":[],"spans":[{"type":"BOLD","text":"a"}]}`, []string{
			"type of each span must be one of the following values: PLAINTEXT, USER_MENTION, SPECIAL_MENTION, COMMUNITY_MENTION, ALIAS_MENTION"}},
		{"message, span that is none", &protocol.MessageSend.Operation, `{"attachments":[],"spans":[null]}`, []string{"each value in spans must be an object"}},
		{"message, too much text", &protocol.MessageSend.Operation,
			`{"attachments":[],"spans":[{"type":"PLAINTEXT","text":"` + strings.Repeat("x", 20001) + `"}]}`, []string{
				"the text of all spans must be shorter than or equal to 20000 characters"}},
		{"edit, no spans", &protocol.MessageEdit.Operation, `{"id":"` + someUUID + `","spans":[]}`, []string{"At least one span is required"}},
		{"reaction, empty", &protocol.ReactionAdd.Operation, `{"messageId":"` + someUUID + `","emoji":""}`, []string{"emoji should not be empty"}},
		{"invite, nothing", &protocol.InviteCreate.Operation, `{}`, []string{"each value in communityIds must be a UUID", "communityIds must be an array"}},
		{"invite, wrong", &protocol.InviteCreate.Operation, `{"maxUses":0,"validUntil":"soon","communityIds":[1]}`, []string{
			"maxUses must not be less than 1", "validUntil must be a Date instance", "each value in communityIds must be a UUID"}},
		{"invite, fraction", &protocol.InviteCreate.Operation, `{"maxUses":1.5,"communityIds":[]}`, []string{"maxUses must be an integer number"}},
		{"invite, beyond the column", &protocol.InviteCreate.Operation, `{"maxUses":4294967296,"communityIds":[]}`, []string{"maxUses must be an integer number"}},
		{"invite, exponent is an integer", &protocol.InviteCreate.Operation, `{"maxUses":1e1,"communityIds":[]}`, nil},
		{"register, custom texts", &protocol.UserRegister.Operation, `{"code":"c","username":"a b","password":"x"}`, []string{
			"Username can only contain letters, numbers, underscores, and hyphens", "Password must be at least 8 characters"}},
		{"register, blank email", &protocol.UserRegister.Operation, `{"code":"c","username":"ada","password":"longenough","email":""}`, nil},
		{"register, bad email", &protocol.UserRegister.Operation, `{"code":"c","username":"ada","password":"longenough","email":"x"}`, []string{"email must be an email"}},
		{"register, no conversion", &protocol.UserRegister.Operation, `{"code":5,"username":"ada","password":12345678}`, []string{"code must be a string",
			"Password must be at most 128 characters", "Password must be at least 8 characters", "password must be a string"}},
		{"body is a list", &protocol.ReactionAdd.Operation, `[]`, []string{"messageId must be a UUID",
			"emoji must be shorter than or equal to 64 characters", "emoji should not be empty", "emoji must be a string"}},
		{"ban, wrong type", &protocol.UserBan.Operation, `{"id":"` + someUUID + `","banned":"true"}`, []string{"banned must be a boolean value"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := planOf(t, tt.op).decode(protocol.Caller{}, Input{Body: json.RawMessage(tt.body)})
			var got []string
			if d.fault != nil {
				for _, f := range d.fault.Fields {
					got = append(got, f.Message)
				}
				if len(got) == 0 {
					got = []string{d.fault.Message}
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("failed rules:\n got  %q\n want %q", got, tt.want)
			}
		})
	}
}

func quoted(s string) string { return `"` + s + `"` }

// Socket.IO clients see the names of the constraints.
func TestConstraintNames(t *testing.T) {
	d := planOf(t, &protocol.MessageSend.Operation).decode(protocol.Caller{}, Input{Body: json.RawMessage(`{"channelId":"x"}`)})
	var got []string
	for _, f := range d.fault.Fields {
		got = append(got, f.Field+"."+f.Rule)
	}
	want := []string{"channelId.isUuid", "spans.arrayMinLength", "spans.isArray", "attachments.isArray"}
	if !slices.Equal(got, want) {
		t.Errorf("constraints = %q, want %q", got, want)
	}
}

func TestQueryInt(t *testing.T) {
	tests := []struct {
		query map[string]string
		want  int
		fault *protocol.Error
	}{
		{nil, 50, nil},
		{map[string]string{"limit": "abc"}, 50, nil},
		{map[string]string{"limit": "1.5"}, 0, protocol.ErrBadQueryInt},
		{map[string]string{"limit": ""}, 1, nil},
		{map[string]string{"limit": "-2"}, 1, nil},
		{map[string]string{"limit": "1e1"}, 10, nil},
		{map[string]string{"limit": " 7 "}, 7, nil},
		{map[string]string{"limit": "100000"}, 200, nil},
		{map[string]string{"limit": "Infinity"}, 200, nil},
		{map[string]string{"limit": "NaN"}, 50, nil},
	}
	for _, tt := range tests {
		d := planOf(t, &protocol.MessageList.Operation).decode(protocol.Caller{}, Input{Path: map[string]string{"channelId": someUUID}, Query: tt.query})
		if d.fault != tt.fault {
			t.Errorf("%v: fault = %v, want %v", tt.query, d.fault, tt.fault)
		}
		if got := d.command.Interface().(*protocol.Command[protocol.ListMessages]).Req.Limit; tt.fault == nil && got != tt.want {
			t.Errorf("%v: limit = %d, want %d", tt.query, got, tt.want)
		}
	}
}

func TestPathWinsOverBody(t *testing.T) {
	other := "11111111-1111-4111-8111-111111111111"
	d := planOf(t, &protocol.MessageEdit.Operation).decode(protocol.Caller{}, Input{
		Path: map[string]string{"id": someUUID}, Body: json.RawMessage(`{"id":"` + other + `"}`),
	})
	if got := d.command.Interface().(*protocol.Command[protocol.EditMessage]).Req.ID.String(); got != someUUID || d.key.str != someUUID {
		t.Errorf("id = %s, key = %s, want %s of the path", got, d.key.str, someUUID)
	}
}

func TestDecodesWhatIsValid(t *testing.T) {
	body := `{"channelId":"` + strings.ToUpper(someUUID) + `","spans":[{"type":"USER_MENTION","text":"@a","userId":"u","TEXT":"no","id":"x","position":9}],
		"attachments":["` + someUUID + `"],"pendingAttachments":2.0,"nonce":"n","ID":"x","unknown":{"a":[1]}}`
	d := planOf(t, &protocol.MessageSend.Operation).decode(protocol.Caller{}, Input{Body: json.RawMessage(body)})
	if d.fault != nil {
		t.Fatal(d.fault)
	}
	req := d.command.Interface().(*protocol.Command[protocol.SendMessage]).Req
	switch {
	case req.ChannelID == nil || req.ChannelID.String() != someUUID:
		t.Errorf("channelId = %v", req.ChannelID)
	case len(req.Spans) != 1 || *req.Spans[0].Text != "@a" || *req.Spans[0].UserID != "u":
		t.Errorf("spans = %+v", req.Spans)
	case len(req.Attachments) != 1 || *req.PendingAttachments != 2 || req.Nonce != "n":
		t.Errorf("request = %+v", req)
	case req.ID.IsZero() || protocol.AnyID(req.ID) != d.newID:
		t.Errorf("id = %v, new id = %v", req.ID, d.newID)
	}
}

func TestJSDate(t *testing.T) {
	tests := []struct {
		raw  string
		want string // empty: no date
	}{
		{`"2030-01-02T03:04:05.678Z"`, "2030-01-02T03:04:05.678Z"},
		{`"2030-01-02T03:04:05+02:00"`, "2030-01-02T01:04:05.000Z"},
		{`"2030-01-02"`, "2030-01-02T00:00:00.000Z"},
		{`"2030"`, "2030-01-01T00:00:00.000Z"},
		{`1893553445678`, "2030-01-02T03:04:05.678Z"},
		{`"Wed Jan 02 2030 03:04:05 GMT+0000 (Coordinated Universal Time)"`, "2030-01-02T03:04:05.000Z"},
		{`"soon"`, ""}, {`""`, ""}, {`1e300`, ""}, {`8640000000000000`, ""}, {`true`, ""}, {`[]`, ""}, {`{}`, ""},
	}
	for _, tt := range tests {
		at, ok := jsDate(valueOf(json.RawMessage(tt.raw)))
		if ok != (tt.want != "") || ok && at.String() != tt.want {
			t.Errorf("jsDate(%s) = %v, %v, want %q", tt.raw, at, ok, tt.want)
		}
	}
}

func TestNUL(t *testing.T) {
	for raw, want := range map[string]bool{
		`{"a":"\u0000"}`: true, `{"a":"\\u0000"}`: false, `{"a":"\\\u0000"}`: true, `{"a":"\\\\u0000x\u0000"}`: true, `{"a":"u0000"}`: false,
	} {
		if got := hasNUL([]byte(raw)); got != want {
			t.Errorf("hasNUL(%s) = %v", raw, got)
		}
	}
	d := planOf(t, &protocol.InvitePublic.Operation).decode(protocol.Caller{}, Input{Path: map[string]string{"code": "a\x00b"}})
	if d.fault != errNUL {
		t.Errorf("fault of a path = %v", d.fault)
	}
}

func TestBodyUUIDIsStricterThanPath(t *testing.T) {
	for s, want := range map[string]bool{
		someUUID: true, strings.ToUpper(someUUID): true, "00000000-0000-0000-0000-000000000000": true, "ffffffff-ffff-ffff-ffff-ffffffffffff": true,
		"0b9e6c1a-3f4d-0b7e-9a55-0c6f2f1f9a10": false, "0b9e6c1a-3f4d-4b7e-ca55-0c6f2f1f9a10": false, "0b9e6c1a3f4d4b7e9a550c6f2f1f9a10": false, "": false,
	} {
		if got := isUUID(textValue(s)); got != want {
			t.Errorf("isUUID(%q) = %v", s, got)
		}
	}
}
