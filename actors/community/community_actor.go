package community

import (
	"context"
	"fmt"
	"time"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// Config adjusts the kind; its zero value works.
type Config struct {
	// IdleAfter is how long an unused community stays in memory; 10 minutes when zero.
	IdleAfter time.Duration
	// QuietAbove is the number of members online above which members are not told
	// about each other one by one; 250 when zero.
	QuietAbove int
	// StaleAfter is how long a member counts as online without a sign of life
	// before his actor is asked; 5 minutes when zero.
	StaleAfter time.Duration
}

func (c Config) withDefaults() Config {
	if c.IdleAfter == 0 {
		c.IdleAfter = 10 * time.Minute
	}
	if c.QuietAbove == 0 {
		c.QuietAbove = 250
	}
	if c.StaleAfter == 0 {
		c.StaleAfter = 5 * time.Minute
	}
	return c
}

// New describes the kind to the loop.
func New(cfg Config) *turn.Kind[State] {
	cfg = cfg.withDefaults()
	k := &turn.Kind[State]{
		Name:      protocol.KindCommunity,
		Leased:    true,
		Judge:     (*State).judge,
		IdleAfter: cfg.IdleAfter,
	}
	k.Load = func(ctx context.Context, env *turn.Env, t turn.Turn) (*State, error) {
		var id protocol.CommunityID
		if err := id.UnmarshalText([]byte(t.Self.ID)); err != nil {
			return nil, fmt.Errorf("community %q: %w", t.Self.ID, err)
		}
		return load(ctx, cfg, env.DB, id, t)
	}

	turn.On(k, protocol.CommunityCreate, (*State).createCommunity, turn.Structural)
	turn.On(k, protocol.CommunityGet, (*State).getCommunity)
	turn.On(k, protocol.CommunityUpdate, (*State).updateCommunity, turn.Structural)
	turn.On(k, protocol.CommunityDelete, (*State).deleteCommunity, turn.Structural)
	turn.On(k, protocol.CommunityRemove, (*State).removeCommunity, turn.Structural)
	turn.OnMessage(k, (*State).reload, turn.Structural)

	turn.On(k, protocol.ChannelCreate, (*State).createChannel, turn.Structural)
	turn.On(k, protocol.ChannelList, (*State).listChannels)
	turn.On(k, protocol.ChannelGet, (*State).getChannel)
	turn.On(k, protocol.ChannelMentionable, (*State).listMentionable)
	turn.On(k, protocol.ChannelUpdate, (*State).updateChannel, turn.Structural)
	turn.On(k, protocol.ChannelDelete, (*State).deleteChannel, turn.Structural)
	turn.On(k, protocol.ChannelMoveUp, (*State).moveChannelUp, turn.Structural)
	turn.On(k, protocol.ChannelMoveDown, (*State).moveChannelDown, turn.Structural)

	turn.On(k, protocol.MemberAdd, (*State).addMember, turn.Structural)
	turn.On(k, protocol.MemberList, (*State).listMembers)
	turn.On(k, protocol.MemberRemove, (*State).removeMember, turn.Structural)
	turn.On(k, protocol.MemberLeave, (*State).leaveCommunity, turn.Structural)
	turn.On(k, protocol.MemberSearch, (*State).searchMembers)
	turn.On(k, protocol.MemberGet, (*State).getMember)
	turn.OnMessage(k, (*State).reloadMember, turn.Structural)

	turn.On(k, protocol.ChannelMemberAdd, (*State).addChannelMember, turn.Structural)
	turn.On(k, protocol.ChannelMemberList, (*State).listChannelMembers)
	turn.On(k, protocol.ChannelMemberGet, (*State).getChannelMember)
	turn.On(k, protocol.ChannelMemberRemove, (*State).removeChannelMember, turn.Structural)
	turn.On(k, protocol.ChannelMemberLeave, (*State).leaveChannel, turn.Structural)
	turn.On(k, protocol.RoleList, (*State).listRoles)
	turn.On(k, protocol.RoleOfMember, (*State).rolesOfMember)
	turn.On(k, protocol.RoleOfMemberInChannel, (*State).rolesInChannel)
	turn.On(k, protocol.RoleUsers, (*State).roleUsers)
	turn.On(k, protocol.RoleCreate, (*State).createRole, turn.Structural)
	turn.On(k, protocol.RoleUpdate, (*State).updateRole, turn.Structural)
	turn.On(k, protocol.RoleDelete, (*State).deleteRole, turn.Structural)
	turn.On(k, protocol.RoleReset, (*State).resetRoles, turn.Structural)
	turn.On(k, protocol.RoleAssign, (*State).assignRole, turn.Structural)
	turn.On(k, protocol.RoleUnassign, (*State).unassignRole, turn.Structural)

	turn.On(k, protocol.ModerationBan, (*State).banMember, turn.Structural)
	turn.On(k, protocol.ModerationUnban, (*State).unbanMember, turn.Structural)
	turn.On(k, protocol.ModerationKick, (*State).kickMember, turn.Structural)
	turn.On(k, protocol.ModerationTimeout, (*State).timeoutMember, turn.Structural)
	turn.On(k, protocol.ModerationRemoveTimeout, (*State).removeTimeout, turn.Structural)
	turn.On(k, protocol.ModerationBans, (*State).listBans)
	turn.On(k, protocol.ModerationTimeouts, (*State).listTimeouts)
	turn.On(k, protocol.ModerationTimeoutStatus, (*State).timeoutStatus)
	turn.On(k, protocol.ModerationLogs, (*State).moderationLog)

	turn.On(k, protocol.AliasList, (*State).listAliases)
	turn.On(k, protocol.AliasGet, (*State).getAlias)
	turn.On(k, protocol.AliasCreate, (*State).createAlias, turn.Structural)
	turn.On(k, protocol.AliasRename, (*State).renameAlias, turn.Structural)
	turn.On(k, protocol.AliasDelete, (*State).deleteAlias, turn.Structural)
	turn.On(k, protocol.AliasMemberAdd, (*State).addAliasMember, turn.Structural)
	turn.On(k, protocol.AliasMemberRemove, (*State).removeAliasMember, turn.Structural)
	turn.On(k, protocol.AliasMembersSet, (*State).setAliasMembers, turn.Structural)

	turn.On(k, protocol.SearchInCommunity, (*State).searchCommunity)
	turn.On(k, protocol.FileForCommunity, (*State).uploadHere)

	turn.OnMessage(k, (*State).answerAccess)
	turn.OnMessage(k, (*State).memberPresence)
	turn.OnMessage(k, (*State).askPresence)
	turn.OnMessage(k, (*State).sweepOnline)
	turn.OnMessage(k, (*State).onlineMembers)
	turn.OnMessage(k, (*State).noticesWanted)
	return k
}
