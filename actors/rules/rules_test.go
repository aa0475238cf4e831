package rules_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/protocol"
)

func TestDefaultRolesHoldTheContractsCounts(t *testing.T) {
	want := map[string]int{
		rules.RoleCommunityAdmin: 41, rules.RoleModerator: 24, rules.RoleMember: 11,
		rules.RoleInstanceAdmin: 12, rules.RoleCommunityCreator: 40, rules.RoleUserManager: 6, rules.RoleInviteManager: 4,
	}
	if n := len(protocol.AllActions()); n != 55 {
		t.Errorf("%d actions, want 55", n)
	}
	all := append(rules.CommunityRoles(), rules.InstanceRoles()...)
	if len(all) != len(want) {
		t.Fatalf("%d default roles, want %d", len(all), len(want))
	}
	for _, r := range all {
		if len(r.Actions) != want[r.Name] {
			t.Errorf("%s has %d actions, want %d", r.Name, len(r.Actions), want[r.Name])
		}
		if r.Set().Len() != len(r.Actions) {
			t.Errorf("%s names an action twice", r.Name)
		}
	}
}

func TestDefaultRolesKeepTheirOrder(t *testing.T) {
	first := map[string]string{
		rules.RoleCommunityAdmin:   "UPDATE_COMMUNITY DELETE_COMMUNITY READ_COMMUNITY CREATE_CHANNEL",
		rules.RoleModerator:        "READ_COMMUNITY READ_CHANNEL READ_MEMBER READ_MESSAGE READ_ROLE",
		rules.RoleMember:           "READ_COMMUNITY READ_CHANNEL READ_MEMBER READ_MESSAGE CREATE_MESSAGE JOIN_CHANNEL",
		rules.RoleInstanceAdmin:    "READ_INSTANCE_SETTINGS UPDATE_INSTANCE_SETTINGS READ_INSTANCE_STATS",
		rules.RoleCommunityCreator: "CREATE_COMMUNITY READ_COMMUNITY CREATE_CHANNEL",
		rules.RoleUserManager:      "READ_USER UPDATE_USER BAN_USER UNBAN_USER MANAGE_USER_STORAGE READ_INSTANCE_STATS",
		rules.RoleInviteManager:    "READ_INSTANCE_INVITE CREATE_INSTANCE_INVITE DELETE_INSTANCE_INVITE UPDATE_INSTANCE_INVITE",
	}
	for _, r := range append(rules.CommunityRoles(), rules.InstanceRoles()...) {
		if got := strings.Join(r.Names(), " "); !strings.HasPrefix(got, first[r.Name]) {
			t.Errorf("%s = %s\nwant it to begin %s", r.Name, got, first[r.Name])
		}
	}
	admin := rules.CommunityRoles()[0].Names()
	if got := admin[len(admin)-1]; got != "MUTE_PARTICIPANT" {
		t.Errorf("last action of the admin is %s", got)
	}
}

func TestEffective(t *testing.T) {
	a := protocol.NewActionSet(protocol.ActionReadMessage)
	b := protocol.NewActionSet(protocol.ActionCreateMessage)
	for name, c := range map[string]struct {
		owner bool
		roles []protocol.ActionSet
		want  int
	}{
		"outsider":          {false, nil, 0},
		"union of roles":    {false, []protocol.ActionSet{a, b, a}, 2},
		"owner has all":     {true, nil, 55},
		"owner with a role": {true, []protocol.ActionSet{a}, 55},
	} {
		if got := rules.Effective(c.owner, c.roles).Len(); got != c.want {
			t.Errorf("%s: %d actions, want %d", name, got, c.want)
		}
	}
}

func TestCanEditAndDelete(t *testing.T) {
	author, other := protocol.UserID{1}, protocol.UserID{2}
	none := protocol.ActionSet(0)
	for name, c := range map[string]struct {
		user         protocol.UserID
		author       *protocol.UserID
		actions      protocol.ActionSet
		edit, delete bool
	}{
		"author":              {author, &author, none, true, true},
		"somebody else":       {other, &author, protocol.NewActionSet(protocol.ActionReadMessage), false, false},
		"DELETE_MESSAGE":      {other, &author, protocol.NewActionSet(protocol.ActionDeleteMessage), false, true},
		"DELETE_ANY_MESSAGE":  {other, &author, protocol.NewActionSet(protocol.ActionDeleteAnyMessage), false, true},
		"no author left":      {author, nil, none, false, false},
		"no author, moderate": {other, nil, protocol.NewActionSet(protocol.ActionDeleteAnyMessage), false, true},
		"nobody":              {protocol.UserID{}, &protocol.UserID{}, none, false, false},
	} {
		if got := rules.CanEdit(c.user, c.author); got != c.edit {
			t.Errorf("%s: CanEdit = %v", name, got)
		}
		if got := rules.CanDelete(c.user, c.author, c.actions); got != c.delete {
			t.Errorf("%s: CanDelete = %v", name, got)
		}
	}
}

func TestSlowmode(t *testing.T) {
	const now = protocol.Instant(1_000_000)
	for name, c := range map[string]struct {
		seconds int
		last    protocol.Instant
		want    time.Duration
		text    string
	}{
		"off":          {0, now, 0, ""},
		"never sent":   {10, 0, 0, ""},
		"just sent":    {10, now, 10 * time.Second, "Slowmode is enabled. Please wait 10 seconds before sending another message."},
		"1 ms left":    {10, now - 9_999, time.Millisecond, "Slowmode is enabled. Please wait 1 seconds before sending another message."},
		"over exactly": {10, now - 10_000, 0, ""},
		"long over":    {10, 1, 0, ""},
	} {
		wait := rules.SlowmodeRemaining(c.seconds, c.last, now)
		if wait != c.want {
			t.Errorf("%s: wait %v, want %v", name, wait, c.want)
		}
		if wait > 0 {
			if err := rules.Slowmode(wait); err.Message != c.text || err.RetryAfter != wait || err.Code != protocol.CodeSlowMode {
				t.Errorf("%s: %+v", name, err)
			}
		}
	}
	for _, a := range []protocol.Action{protocol.ActionDeleteAnyMessage, protocol.ActionUpdateChannel} {
		if !rules.ExemptFromSlowmode(false, protocol.NewActionSet(a)) {
			t.Errorf("%v does not exempt", a)
		}
	}
	if rules.ExemptFromSlowmode(false, protocol.NewActionSet(protocol.ActionCreateMessage)) || !rules.ExemptFromSlowmode(true, 0) {
		t.Error("exemption of member or owner is wrong")
	}
}

func TestTimeout(t *testing.T) {
	const now = protocol.Instant(1_000_000)
	for name, c := range map[string]struct {
		until protocol.Instant
		want  time.Duration
	}{
		"none": {0, 0}, "over": {now, 0}, "past": {now - 1, 0}, "61.5 s": {now + 61_500, 61_500 * time.Millisecond},
	} {
		if got := rules.TimeoutRemaining(c.until, now); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	const want = "You are timed out in this community. Time remaining: 62 seconds"
	if err := rules.TimedOut(61_500 * time.Millisecond); err.Message != want || err.Code != protocol.CodeTimedOut {
		t.Errorf("%+v", err)
	}
}

func TestSpans(t *testing.T) {
	const id = "0190b5a0-0000-7000-8000-000000000001"
	long := strings.Repeat("ä", protocol.MaxMessageText)
	for name, c := range map[string]struct {
		in   string
		rule string // empty: accepted
	}{
		"plain":              {`[{"type":"PLAINTEXT","text":"hi"}]`, ""},
		"empty text":         {`[{"type":"PLAINTEXT","text":""}]`, ""},
		"unknown keys":       {`[{"type":"PLAINTEXT","text":"hi","channelId":null,"id":5,"position":7,"messageId":"x"}]`, ""},
		"mention":            {`[{"type":"USER_MENTION","text":"@a","userId":"` + id + `"}]`, ""},
		"mention without id": {`[{"type":"USER_MENTION","text":"@a"}]`, ""},
		"special":            {`[{"type":"SPECIAL_MENTION","text":"@here","specialKind":"here"}]`, ""},
		"channel":            {`[{"type":"COMMUNITY_MENTION","text":"#x","communityId":"` + id + `"}]`, ""},
		"alias":              {`[{"type":"ALIAS_MENTION","aliasId":"` + id + `"}]`, ""},
		"longest":            {`[{"type":"PLAINTEXT","text":"` + long + `"}]`, ""},
		"none":               {`[]`, "arrayMinLength"},
		"no type":            {`[{"text":"hi"}]`, "isEnum"},
		"unknown type":       {`[{"type":"FOO","text":"hi"}]`, "isEnum"},
		"plain without text": {`[{"type":"PLAINTEXT"}]`, "isString"},
		"plain null text":    {`[{"type":"PLAINTEXT","text":null}]`, "isString"},
		"bad user":           {`[{"type":"USER_MENTION","userId":"nope"}]`, "isUuid"},
		"empty user":         {`[{"type":"USER_MENTION","userId":""}]`, "isUuid"},
		"bad community":      {`[{"type":"COMMUNITY_MENTION","communityId":"nope"}]`, "isUuid"},
		"bad alias":          {`[{"type":"ALIAS_MENTION","aliasId":"nope"}]`, "isUuid"},
		"NUL in text":        {`[{"type":"PLAINTEXT","text":"a\u0000b"}]`, "isText"},
		"NUL in kind":        {`[{"type":"SPECIAL_MENTION","specialKind":"\u0000"}]`, "isText"},
		"long kind":          {`[{"type":"SPECIAL_MENTION","specialKind":"` + strings.Repeat("x", 33) + `"}]`, "maxLength"},
		"too long":           {`[{"type":"PLAINTEXT","text":"` + long + `"},{"type":"PLAINTEXT","text":"x"}]`, "maxLength"},
		"too many":           {`[` + strings.Repeat(`{"type":"PLAINTEXT","text":""},`, 100) + `{"type":"PLAINTEXT","text":""}]`, "arrayMaxSize"},
	} {
		var in []protocol.SpanInput
		if err := json.Unmarshal([]byte(c.in), &in); err != nil {
			t.Fatal(name, err)
		}
		message := protocol.MessageID{9}
		spans, err := rules.Spans(message, in)
		if c.rule == "" {
			if err != nil || len(spans) != len(in) {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for i, s := range spans {
				if s.ID.IsZero() || s.MessageID != message || s.Position != i {
					t.Errorf("%s: span %d is %+v", name, i, s)
				}
			}
			continue
		}
		var shown *protocol.Error
		if !errors.As(err, &shown) || shown.Code != protocol.CodeInvalid || shown.Fields[0].Field != "spans" || shown.Fields[0].Rule != c.rule {
			t.Errorf("%s: error %v, want rule %s", name, err, c.rule)
		}
	}
}

func TestSpansOfInvalidUTF8AreRefused(t *testing.T) {
	text := "a\xffb"
	if _, err := rules.Spans(protocol.MessageID{1}, []protocol.SpanInput{{Type: protocol.SpanPlaintext, Text: &text}}); err == nil {
		t.Error("accepted")
	}
	if rules.Emoji("\x00") == nil || rules.Emoji("👍") != nil {
		t.Error("emoji is judged wrongly")
	}
}

func TestSearchText(t *testing.T) {
	text := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		texts []*string
		want  *string
	}{
		"nothing":          {nil, nil},
		"null and empty":   {[]*string{nil, text("")}, nil},
		"only blanks":      {[]*string{text(" \n\t"), text("\u00a0\ufeff")}, nil},
		"lower case":       {[]*string{text("Hello WORLD")}, text("hello world")},
		"joined by space":  {[]*string{text("hi "), text("@Bob"), nil, text(""), text("@here")}, text("hi  @bob @here")},
		"trimmed outside":  {[]*string{text("  a"), text("b  ")}, text("a b")},
		"not a blank here": {[]*string{text("\u0085a")}, text("\u0085a")},
	} {
		var spans []protocol.Span
		for _, s := range c.texts {
			spans = append(spans, protocol.Span{Text: s})
		}
		got := rules.SearchText(spans)
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestCreatorDiffersFromAdminOnlyInItsFirstActions(t *testing.T) {
	admin, creator := rules.CommunityRoles()[0].Names(), rules.InstanceRoles()[1].Names()
	if !slices.Equal(admin[3:], creator[2:]) {
		t.Errorf("%v\n%v", admin, creator)
	}
}
