package dispatch

import (
	"context"

	"github.com/rookery-chat/rookery/protocol"
)

// answers are the rows that need no actor: reads of one's own rows.
var answers = map[string]func(ctx context.Context, d *Dispatcher, cmd any) (any, error){
	protocol.AccountResetLink.Name:   accountResetLink,
	protocol.CommunityMine.Name:      communityMine,
	protocol.CommunityList.Name:      communityList,
	protocol.CommunityPages.Name:     communityPages,
	protocol.CommunityInspect.Name:   communityInspect,
	protocol.MemberMine.Name:         memberMine,
	protocol.MemberOf.Name:           memberOf,
	protocol.ChannelMemberMine.Name:  channelMemberMine,
	protocol.ChannelMemberOf.Name:    channelMemberOf,
	protocol.UserProfile.Name:        userProfile,
	protocol.UserGet.Name:            userGet,
	protocol.UserByName.Name:         userByName,
	protocol.UserSearch.Name:         userSearch,
	protocol.UserList.Name:           userList,
	protocol.UserAdminList.Name:      userAdminList,
	protocol.UserAdminGet.Name:       userAdminGet,
	protocol.DirectList.Name:         directList,
	protocol.FriendList.Name:         friendList,
	protocol.FriendRequestList.Name:  friendRequests,
	protocol.FriendStatusGet.Name:    friendStatus,
	protocol.BlockList.Name:          blockList,
	protocol.BlockGet.Name:           blockGet,
	protocol.DebugStatus.Name:        debugStatus,
	protocol.AppearanceGet.Name:      appearanceGet,
	protocol.InstanceStatsGet.Name:   instanceStats,
	protocol.InviteGet.Name:          inviteGet,
	protocol.StorageMine.Name:        storageMine,
	protocol.StorageInstance.Name:    storageInstance,
	protocol.StorageList.Name:        storageList,
	protocol.StorageGet.Name:         storageGet,
	protocol.InviteList.Name:         inviteList,
	protocol.InvitePublic.Name:       invitePublic,
	protocol.PresenceGet.Name:        presenceGet,
	protocol.RoleMine.Name:           roleMine,
	protocol.RoleMineInChannel.Name:  roleMineInChannel,
	protocol.RoleMineOfInstance.Name: roleMineOfInstance,
	protocol.RoleOfUser.Name:         roleOfUser,
	protocol.InstanceRoleList.Name:   instanceRoleList,
	protocol.InstanceRoleUsers.Name:  instanceRoleUsers,

	protocol.FileDelete.Name:      fileDelete,
	protocol.FileGet.Name:         fileGet,
	protocol.FileThumbnail.Name:   fileThumbnail,
	protocol.FileMetadataGet.Name: fileMetadata,
	protocol.FileSign.Name:        fileSign,

	protocol.PresenceBulk.Name:              presenceBulk,
	protocol.PresenceMulti.Name:             presenceMulti,
	protocol.NotificationList.Name:          notificationList,
	protocol.NotificationCount.Name:         notificationCount,
	protocol.NotificationSettingsGet.Name:   notificationSettings,
	protocol.NotificationSubscriptions.Name: notificationSubscriptions,
	protocol.PushKeyGet.Name:                pushKey,
	protocol.PushSubscribe.Name:             pushSubscribe,
	protocol.PushUnsubscribe.Name:           pushUnsubscribe,
	protocol.PushStatusGet.Name:             pushStatus,
	protocol.PushTest.Name:                  pushTest,
	protocol.PushDebug.Name:                 pushDebug,
}

func communityMine(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return listed(d.cfg.DB.CommunitiesOf(ctx, callerOf(cmd).UserID))
}

// inviteList shows owners everybody's invites, others their own.
func inviteList(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	caller := callerOf(cmd)
	creator := caller.UserID
	if caller.Owner {
		creator = protocol.UserID{}
	}
	return listed(d.cfg.DB.Invites(ctx, creator))
}

func inviteGet(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return found(d.cfg.DB.Invite(ctx, requestOf[protocol.GetInvite](cmd).Code))
}

func invitePublic(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return found(d.cfg.DB.InvitePublic(ctx, requestOf[protocol.GetInvite](cmd).Code))
}

func debugStatus(context.Context, *Dispatcher, any) (any, error) { //nolint:unparam // one of the answers
	return &protocol.DebugEnabled{Enabled: true}, nil
}

func callerOf(cmd any) protocol.Caller { return cmd.(protocol.AnyCommand).By() }

func requestOf[Req any](cmd any) Req { return cmd.(*protocol.Command[Req]).Req }

// found is one row as an answer.
func found[T any](row T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return &row, nil
}
