package rules

import (
	"strings"

	"github.com/rookery-chat/rookery/protocol"
)

// Ranks decide who may ban, kick or silence whom. They come from default roles
// only: the names of others are chosen by anybody with CREATE_ROLE.
const (
	RankNone      = 0 // no role in the community
	RankMember    = 10
	RankModerator = 50
	RankAdmin     = 80
	RankOwner     = 100 // of the instance: above all, in every community
)

// Rank is the highest of a user's roles in a community.
func Rank(owner bool, roles []protocol.Role) int {
	rank := RankNone
	for _, r := range roles {
		rank = max(rank, rankOf(r))
	}
	if owner {
		rank = RankOwner
	}
	return rank
}

func rankOf(r protocol.Role) int {
	switch {
	case r.IsDefault && r.Name == RoleCommunityAdmin:
		return RankAdmin
	case r.IsDefault && r.Name == RoleModerator:
		return RankModerator
	default:
		return RankMember
	}
}

// Outranks reports whether an actor may moderate a target: nobody can act on
// himself or an equal.
func Outranks(actor, target int) bool { return actor > target }

// Granting is the refusal of giving away, or taking back, actions that the
// caller does not hold himself; nil when he holds them all. They are named in
// the order given, each once.
func Granting(owner bool, held protocol.ActionSet, actions []string) error {
	if owner {
		return nil
	}
	var missing []string
	seen := map[string]bool{}
	for _, name := range actions {
		if a, known := protocol.ParseAction(name); (!known || !held.Has(a)) && !seen[name] {
			seen[name] = true
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return protocol.Forbidden("Cannot grant permissions you do not have: " + strings.Join(missing, ", "))
}

// ReservedRole reports whether a custom role of a community may not have the
// name: people would take it for one that gives rank.
func ReservedRole(name string) bool {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "owner", "community admin", "admin", "moderator", "member":
		return true
	}
	return false
}
