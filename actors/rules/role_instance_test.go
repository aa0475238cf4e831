package rules_test

import (
	"testing"

	"github.com/rookery-chat/rookery/actors/rules"
)

func TestInstanceActions(t *testing.T) {
	all := rules.InstanceRoles()
	admin, creator := all[0].Names(), all[1].Names()
	for _, c := range []struct {
		name         string
		actions, had []string
		want         string
	}{
		{"the admin's", admin, nil, ""},
		{"all that was added", []string{"CREATE_COMMUNITY", "READ_ALL_COMMUNITIES", "DELETE_COMMUNITY", "UNBAN_USER", "READ_MEMBER"}, nil, ""},
		{"a default role as it is", creator, creator, ""},
		{"of communities", []string{"READ_USER", "KICK_USER", "CREATE_MESSAGE", "KICK_USER"}, nil, "Actions not valid for instance roles: KICK_USER, CREATE_MESSAGE"},
		{"only what it has", []string{"KICK_USER", "PIN_MESSAGE"}, []string{"KICK_USER"}, "Actions not valid for instance roles: PIN_MESSAGE"},
	} {
		got := ""
		if err := rules.InstanceActions(c.actions, c.had); err != nil {
			got = textOf(t, err)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
