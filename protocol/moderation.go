package protocol

import (
	"encoding/json"
	"reflect"
)

// Actions of the moderation log.
const (
	LogBan           = "BAN_USER"
	LogUnban         = "UNBAN_USER"
	LogKick          = "KICK_USER"
	LogTimeout       = "TIMEOUT_USER"
	LogRemoveTimeout = "REMOVE_TIMEOUT"
	LogDeleteMessage = "DELETE_MESSAGE"
	LogPin           = "PIN_MESSAGE"
	LogUnpin         = "UNPIN_MESSAGE"
)

// MaxReason bounds the reason of a moderator, in code points; what is longer is
// cut. MaxModerated bounds one answer to a list of bans, timeouts or pins; the
// id of its last entry as continuationToken gives the next.
const (
	MaxReason    = 512
	MaxModerated = 1000
)

// Moderated is the answer to what a moderator did.
type Moderated struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
}

// Requests of moderators about members. A reason may be left out.
type (
	// BanMember takes a member out and keeps him out.
	BanMember struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		UserID      UserID      `path:"userId" json:"userId" rule:"pathUUID"`
		Reason      *string     `json:"reason" rule:"optional,string"`
		ExpiresAt   *Instant    `json:"expiresAt" rule:"optional,isoDate"` // absent: for ever
	}
	// UnbanMember ends a ban.
	UnbanMember struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		UserID      UserID      `path:"userId" json:"userId" rule:"pathUUID"`
		Reason      *string     `json:"reason" rule:"optional,string"`
	}
	// KickMember takes a member out.
	KickMember struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		UserID      UserID      `path:"userId" json:"userId" rule:"pathUUID"`
		Reason      *string     `json:"reason" rule:"optional,string"`
	}
	// TimeoutMember silences a member for a while; a second one replaces the first.
	TimeoutMember struct {
		CommunityID     CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		UserID          UserID      `path:"userId" json:"userId" rule:"pathUUID"`
		DurationSeconds int         `json:"durationSeconds" rule:"max=2419200,min=60,int"`
		Reason          *string     `json:"reason" rule:"optional,string"`
	}
	// RemoveTimeout lets a member speak again.
	RemoveTimeout struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		UserID      UserID      `path:"userId" json:"userId" rule:"pathUUID"`
		Reason      *string     `json:"reason" rule:"optional,string"`
	}
)

// Reads of what moderators did.
type (
	// ListBans asks for the bans in force, newest first.
	ListBans struct {
		CommunityID       CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		ContinuationToken string      `query:"continuationToken" json:"continuationToken"`
	}
	// ListTimeouts asks for the timeouts in force, newest first.
	ListTimeouts struct {
		CommunityID       CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		ContinuationToken string      `query:"continuationToken" json:"continuationToken"`
	}
	// GetTimeout asks whether a member is timed out.
	GetTimeout struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		UserID      UserID      `path:"userId" json:"userId" rule:"pathUUID"`
	}
	// ListModerationLog asks for a window of the log, newest first.
	ListModerationLog struct {
		CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		Limit       int         `query:"limit" json:"limit" rule:"queryInt=50"`
		Offset      int         `query:"offset" json:"offset" rule:"queryOffset=0"`
		Action      string      `query:"action" json:"action" rule:"optionalBlank,enum=BAN_USER;UNBAN_USER;KICK_USER;TIMEOUT_USER;REMOVE_TIMEOUT;DELETE_MESSAGE;PIN_MESSAGE;UNPIN_MESSAGE"`
	}
)

// ModerationGrant is the owner's leave to read what moderators did.
type ModerationGrant struct {
	Now Instant `json:"n"` // of the owner: what has expired by then is not shown
}

// Ban is a ban in force.
type Ban struct {
	ID          AnyID       `json:"id"`
	CommunityID CommunityID `json:"communityId"`
	UserID      UserID      `json:"userId"`
	ModeratorID *UserID     `json:"moderatorId"`
	Reason      *string     `json:"reason"`
	CreatedAt   Instant     `json:"createdAt"`
	ExpiresAt   *Instant    `json:"expiresAt"`
	Active      bool        `json:"active"`
	User        *PublicUser `json:"user"`
	Moderator   *PublicUser `json:"moderator"`
}

// Timeout is a timeout in force.
type Timeout struct {
	ID          AnyID       `json:"id"`
	CommunityID CommunityID `json:"communityId"`
	UserID      UserID      `json:"userId"`
	ModeratorID *UserID     `json:"moderatorId"`
	Reason      *string     `json:"reason"`
	CreatedAt   Instant     `json:"createdAt"`
	ExpiresAt   Instant     `json:"expiresAt"`
	User        *PublicUser `json:"user"`
	Moderator   *PublicUser `json:"moderator"`
}

// TimeoutStatus tells whether a member is timed out, and until when.
type TimeoutStatus struct {
	IsTimedOut bool     `json:"isTimedOut"`
	ExpiresAt  *Instant `json:"expiresAt,omitempty"`
}

// ModerationEntry is one line of the log.
type ModerationEntry struct {
	ID              AnyID           `json:"id"`
	CommunityID     CommunityID     `json:"communityId"`
	ModeratorID     *UserID         `json:"moderatorId"`
	TargetUserID    *UserID         `json:"targetUserId"`
	TargetMessageID *MessageID      `json:"targetMessageId"`
	Action          string          `json:"action"`
	Reason          *string         `json:"reason"`
	Metadata        json.RawMessage `json:"metadata"`
	CreatedAt       Instant         `json:"createdAt"`
	Moderator       *PublicUser     `json:"moderator"`
	TargetUser      *PublicUser     `json:"targetUser"`
}

// ModerationLog is a window of the log, newest first, with the number of all
// entries that match.
type ModerationLog struct {
	Logs  []ModerationEntry `json:"logs"`
	Total int               `json:"total"`
}

// Rows of moderation of members.
var (
	ModerationBan = Define[BanMember, Moderated](Operation{
		Name: "moderation.ban", Method: "POST", Path: "/api/moderation/ban/{communityId}/{userId}", Status: 200,
		Home: KindCommunity, Key: "communityId", Permission: ActionBanUser, Resource: ResourceCommunity,
	})
	ModerationUnban = Define[UnbanMember, Moderated](Operation{
		Name: "moderation.unban", Method: "DELETE", Path: "/api/moderation/ban/{communityId}/{userId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionUnbanUser, Resource: ResourceCommunity,
	})
	ModerationKick = Define[KickMember, Moderated](Operation{
		Name: "moderation.kick", Method: "POST", Path: "/api/moderation/kick/{communityId}/{userId}", Status: 200,
		Home: KindCommunity, Key: "communityId", Permission: ActionKickUser, Resource: ResourceCommunity,
	})
	ModerationTimeout = Define[TimeoutMember, Moderated](Operation{
		Name: "moderation.timeout", Method: "POST", Path: "/api/moderation/timeout/{communityId}/{userId}", Status: 200,
		Home: KindCommunity, Key: "communityId", Permission: ActionTimeoutUser, Resource: ResourceCommunity,
	})
	ModerationRemoveTimeout = Define[RemoveTimeout, Moderated](Operation{
		Name: "moderation.removeTimeout", Method: "DELETE", Path: "/api/moderation/timeout/{communityId}/{userId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionTimeoutUser, Resource: ResourceCommunity,
	})
	ModerationBans = Define[ListBans, ModerationGrant](Operation{
		Name: "moderation.bans", Method: "GET", Path: "/api/moderation/bans/{communityId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionViewBanList, Resource: ResourceCommunity,
		Shows: reflect.TypeFor[[]Ban](),
	})
	ModerationTimeouts = Define[ListTimeouts, ModerationGrant](Operation{
		Name: "moderation.timeouts", Method: "GET", Path: "/api/moderation/timeouts/{communityId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionViewBanList, Resource: ResourceCommunity,
		Shows: reflect.TypeFor[[]Timeout](),
	})
	ModerationTimeoutStatus = Define[GetTimeout, TimeoutStatus](Operation{
		Name: "moderation.timeoutStatus", Method: "GET", Path: "/api/moderation/timeout-status/{communityId}/{userId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionReadMember, Resource: ResourceCommunity,
	})
	ModerationLogs = Define[ListModerationLog, ModerationGrant](Operation{
		Name: "moderation.logs", Method: "GET", Path: "/api/moderation/logs/{communityId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionViewModerationLogs, Resource: ResourceCommunity,
		Shows: reflect.TypeFor[ModerationLog](),
	})
)

// Payloads of the events of moderation, besides UserKicked.
type (
	// UserBanned is userBanned.
	UserBanned struct {
		CommunityID CommunityID `json:"communityId"`
		UserID      UserID      `json:"userId"`
		ModeratorID UserID      `json:"moderatorId"`
		Reason      *string     `json:"reason,omitempty"`
		ExpiresAt   *Instant    `json:"expiresAt,omitempty"`
	}
	// UserTimedOut is userTimedOut.
	UserTimedOut struct {
		CommunityID     CommunityID `json:"communityId"`
		UserID          UserID      `json:"userId"`
		ModeratorID     UserID      `json:"moderatorId"`
		Reason          *string     `json:"reason,omitempty"`
		DurationSeconds int         `json:"durationSeconds"`
		ExpiresAt       Instant     `json:"expiresAt"`
	}
	// TimeoutRemoved is timeoutRemoved.
	TimeoutRemoved struct {
		CommunityID CommunityID `json:"communityId"`
		UserID      UserID      `json:"userId"`
		ModeratorID UserID      `json:"moderatorId"`
		Reason      *string     `json:"reason,omitempty"`
	}
)
