package rules

import (
	"slices"
	"strings"

	"github.com/rookery-chat/rookery/protocol"
)

// instanceActions is what roles of the instance can hold: what the default
// roles hold of it, and what only means something there.
var instanceActions = protocol.NewActionSet(append(instanceAdmin(),
	protocol.ActionCreateCommunity, protocol.ActionReadAllCommunities, protocol.ActionDeleteCommunity,
	protocol.ActionUnbanUser, protocol.ActionReadMember)...)

// InstanceActions is the refusal of actions that mean nothing on the level of
// the instance, but for those that the role has already; nil when there are none.
func InstanceActions(actions, had []string) error {
	var bad []string
	for _, name := range actions {
		a, known := protocol.ParseAction(name)
		if known && instanceActions.Has(a) || slices.Contains(had, name) || slices.Contains(bad, name) {
			continue
		}
		bad = append(bad, name)
	}
	if len(bad) == 0 {
		return nil
	}
	return protocol.BadRequest("Actions not valid for instance roles: " + strings.Join(bad, ", "))
}
