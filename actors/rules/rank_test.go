package rules_test

import (
	"errors"
	"testing"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/protocol"
)

// textOf is what the caller is told.
func textOf(t *testing.T, err error) string {
	t.Helper()
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok {
		t.Fatalf("not for callers: %v", err)
	}
	return e.Message
}

func TestRank(t *testing.T) {
	role := func(name string, def bool) protocol.Role { return protocol.Role{Name: name, IsDefault: def} }
	admin, mod, member := role("Community Admin", true), role("Moderator", true), role("Member", true)
	for _, c := range []struct {
		name  string
		owner bool
		roles []protocol.Role
		want  int
	}{
		{"outsider", false, nil, rules.RankNone},
		{"member", false, []protocol.Role{member}, rules.RankMember},
		{"custom role", false, []protocol.Role{role("VIP", false)}, rules.RankMember},
		{"moderator", false, []protocol.Role{mod}, rules.RankModerator},
		{"admin", false, []protocol.Role{admin}, rules.RankAdmin},
		{"the highest counts", false, []protocol.Role{member, admin, mod}, rules.RankAdmin},
		{"a name is no rank", false, []protocol.Role{role("Owner", false), role("Admin", false), role("Moderator", false), role("Community Admin", false)}, rules.RankMember},
		{"nor is the name of no default role", false, []protocol.Role{role("Owner", true), role("Admin", true)}, rules.RankMember},
		{"instance owner, outsider", true, nil, rules.RankOwner},
		{"instance owner, member", true, []protocol.Role{member}, rules.RankOwner},
	} {
		if got := rules.Rank(c.owner, c.roles); got != c.want {
			t.Errorf("%s: rank %d, want %d", c.name, got, c.want)
		}
	}
}

func TestOutranks(t *testing.T) {
	ranks := []int{rules.RankNone, rules.RankMember, rules.RankModerator, rules.RankAdmin, rules.RankOwner}
	for i, actor := range ranks {
		for j, target := range ranks {
			if got := rules.Outranks(actor, target); got != (i > j) {
				t.Errorf("%d over %d: %v", actor, target, got)
			}
		}
	}
}

func TestGranting(t *testing.T) {
	held := protocol.NewActionSet(protocol.ActionKickUser, protocol.ActionReadMember)
	for _, c := range []struct {
		owner   bool
		actions []string
		want    string
	}{
		{false, nil, ""},
		{false, []string{"KICK_USER"}, ""},
		{false, []string{"READ_MEMBER", "KICK_USER"}, ""},
		{false, []string{"KICK_USER", "BAN_USER", "READ_ROLE", "BAN_USER"}, "Cannot grant permissions you do not have: BAN_USER, READ_ROLE"},
		{false, []string{"FLY"}, "Cannot grant permissions you do not have: FLY"},
		{true, []string{"BAN_USER"}, ""},
	} {
		got := ""
		if err := rules.Granting(c.owner, held, c.actions); err != nil {
			got = textOf(t, err)
			if !errors.Is(err, protocol.ErrForbidden) {
				t.Errorf("%v: %v", c.actions, err)
			}
		}
		if got != c.want {
			t.Errorf("owner %v, %v: %q, want %q", c.owner, c.actions, got, c.want)
		}
	}
}

func TestReservedRole(t *testing.T) {
	for name, want := range map[string]bool{
		"Owner": true, "Community Admin": true, "Admin": true, "Moderator": true, "Member": true,
		"oWnEr": true, " Admin ": true, "Owners": false, "VIP": false, "": false,
	} {
		if got := rules.ReservedRole(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
