package protocol

import (
	"encoding/json"
	"fmt"
	"math/bits"
)

// Action is a right that a role can give. Zero means that none is needed.
type Action uint8

// The actions of the platform, in the contract's order.
const (
	ActionNone Action = iota
	ActionDeleteMessage
	ActionDeleteChannel
	ActionDeleteCommunity
	ActionDeleteInvite
	ActionDeleteUser
	ActionDeleteRole
	ActionDeleteAliasGroup
	ActionDeleteAliasGroupMember
	ActionDeleteInstanceInvite
	ActionDeleteMember
	ActionDeleteReaction
	ActionCreateMessage
	ActionCreateChannel
	ActionCreateCommunity
	ActionCreateInvite
	ActionCreateRole
	ActionCreateAliasGroup
	ActionCreateAliasGroupMember
	ActionCreateInstanceInvite
	ActionCreateMember
	ActionCreateReaction
	ActionJoinChannel
	ActionReadMessage
	ActionReadChannel
	ActionReadCommunity
	ActionReadAllCommunities
	ActionReadUser
	ActionReadRole
	ActionReadAliasGroup
	ActionReadAliasGroupMember
	ActionReadInstanceInvite
	ActionReadMember
	ActionUpdateCommunity
	ActionUpdateChannel
	ActionUpdateUser
	ActionUpdateRole
	ActionUpdateAliasGroup
	ActionUpdateAliasGroupMember
	ActionUpdateInstanceInvite
	ActionUpdateMember
	ActionCaptureReplay
	ActionReadInstanceSettings
	ActionUpdateInstanceSettings
	ActionReadInstanceStats
	ActionManageUserStorage
	ActionBanUser
	ActionKickUser
	ActionTimeoutUser
	ActionUnbanUser
	ActionPinMessage
	ActionUnpinMessage
	ActionDeleteAnyMessage
	ActionViewBanList
	ActionViewModerationLogs
	ActionMuteParticipant
	actionEnd
)

var actionNames = [...]string{
	"",
	"DELETE_MESSAGE",
	"DELETE_CHANNEL",
	"DELETE_COMMUNITY",
	"DELETE_INVITE",
	"DELETE_USER",
	"DELETE_ROLE",
	"DELETE_ALIAS_GROUP",
	"DELETE_ALIAS_GROUP_MEMBER",
	"DELETE_INSTANCE_INVITE",
	"DELETE_MEMBER",
	"DELETE_REACTION",
	"CREATE_MESSAGE",
	"CREATE_CHANNEL",
	"CREATE_COMMUNITY",
	"CREATE_INVITE",
	"CREATE_ROLE",
	"CREATE_ALIAS_GROUP",
	"CREATE_ALIAS_GROUP_MEMBER",
	"CREATE_INSTANCE_INVITE",
	"CREATE_MEMBER",
	"CREATE_REACTION",
	"JOIN_CHANNEL",
	"READ_MESSAGE",
	"READ_CHANNEL",
	"READ_COMMUNITY",
	"READ_ALL_COMMUNITIES",
	"READ_USER",
	"READ_ROLE",
	"READ_ALIAS_GROUP",
	"READ_ALIAS_GROUP_MEMBER",
	"READ_INSTANCE_INVITE",
	"READ_MEMBER",
	"UPDATE_COMMUNITY",
	"UPDATE_CHANNEL",
	"UPDATE_USER",
	"UPDATE_ROLE",
	"UPDATE_ALIAS_GROUP",
	"UPDATE_ALIAS_GROUP_MEMBER",
	"UPDATE_INSTANCE_INVITE",
	"UPDATE_MEMBER",
	"CAPTURE_REPLAY",
	"READ_INSTANCE_SETTINGS",
	"UPDATE_INSTANCE_SETTINGS",
	"READ_INSTANCE_STATS",
	"MANAGE_USER_STORAGE",
	"BAN_USER",
	"KICK_USER",
	"TIMEOUT_USER",
	"UNBAN_USER",
	"PIN_MESSAGE",
	"UNPIN_MESSAGE",
	"DELETE_ANY_MESSAGE",
	"VIEW_BAN_LIST",
	"VIEW_MODERATION_LOGS",
	"MUTE_PARTICIPANT",
}

// String is the name in roles and on the wire.
func (a Action) String() string {
	if a >= actionEnd {
		return fmt.Sprintf("Action(%d)", uint8(a))
	}
	return actionNames[a]
}

// ParseAction finds an action by its name.
func ParseAction(name string) (Action, bool) {
	a, ok := actionsByName[name]
	return a, ok
}

var actionsByName = func() map[string]Action {
	m := make(map[string]Action, actionEnd)
	for a := ActionNone + 1; a < actionEnd; a++ {
		m[actionNames[a]] = a
	}
	return m
}()

// AllActions lists the 55 actions in order.
func AllActions() []Action {
	all := make([]Action, 0, actionEnd-1)
	for a := ActionNone + 1; a < actionEnd; a++ {
		all = append(all, a)
	}
	return all
}

// ActionSet is a set of actions; all 55 fit into one word.
type ActionSet uint64

// NewActionSet collects actions.
func NewActionSet(actions ...Action) ActionSet {
	var s ActionSet
	for _, a := range actions {
		s |= 1 << a
	}
	return s
}

// ParseActionSet collects actions by name; unknown names are left out.
func ParseActionSet(names []string) ActionSet {
	var s ActionSet
	for _, n := range names {
		if a, ok := ParseAction(n); ok {
			s |= 1 << a
		}
	}
	return s
}

// Has reports whether the action is in the set. ActionNone is in every set.
func (s ActionSet) Has(a Action) bool { return a == ActionNone || s&(1<<a) != 0 }

// Len counts the actions.
func (s ActionSet) Len() int { return bits.OnesCount64(uint64(s)) }

// Names lists the actions in the contract's order.
func (s ActionSet) Names() []string {
	names := make([]string, 0, s.Len())
	for a := ActionNone + 1; a < actionEnd; a++ {
		if s.Has(a) {
			names = append(names, actionNames[a])
		}
	}
	return names
}

// MarshalJSON writes the names.
func (s ActionSet) MarshalJSON() ([]byte, error) { return json.Marshal(s.Names()) }

// UnmarshalJSON reads names; an unknown one is an error.
func (s *ActionSet) UnmarshalJSON(b []byte) error {
	var names []string
	if err := json.Unmarshal(b, &names); err != nil {
		return err
	}
	var set ActionSet
	for _, n := range names {
		a, ok := ParseAction(n)
		if !ok {
			return fmt.Errorf("unknown action %q", n)
		}
		set |= 1 << a
	}
	*s = set
	return nil
}
