package protocol

// Channel types.
const (
	ChannelText  = "TEXT"
	ChannelVoice = "VOICE"
)

// MaxChannels bounds the channels of a community.
const MaxChannels = 500

// Channel is the contract's channel object.
type Channel struct {
	ID              ChannelID   `json:"id"`
	Name            string      `json:"name"`
	CommunityID     CommunityID `json:"communityId"`
	CreatedAt       Instant     `json:"createdAt"`
	Type            string      `json:"type"`
	Position        int         `json:"position"`
	SlowmodeSeconds int         `json:"slowmodeSeconds"`
	IsPrivate       bool        `json:"isPrivate"`
}

// CreateChannel adds a channel to a community.
type CreateChannel struct {
	IsPrivate       bool        `json:"isPrivate" rule:"nonempty,bool"`
	Name            string      `json:"name" rule:"max=100,string,nonempty"`
	CommunityID     CommunityID `json:"communityId" rule:"uuid,nonempty,string"`
	Type            string      `json:"type" rule:"enum=TEXT;VOICE"`
	Position        *float64    `json:"position" rule:"optional,number"` // accepted and ignored
	SlowmodeSeconds *float64    `json:"slowmodeSeconds" rule:"optional,max=21600,min=0,number"`

	ID ChannelID `json:"-" cbor:"id"` // chosen by the edge
}

// ListChannels asks for the channels that the caller can see.
type ListChannels struct {
	CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
}

// GetChannel asks for one channel.
type GetChannel struct {
	ID ChannelID `path:"id" json:"id" rule:"pathUUID"`
}

// UpdateChannel changes what is given.
type UpdateChannel struct {
	ID              ChannelID `path:"id" json:"id" rule:"pathUUID"`
	Name            *string   `json:"name" rule:"optional,max=100,string,nonempty"`
	Position        *int      `json:"position" rule:"optional,min=0,int"`
	SlowmodeSeconds *int      `json:"slowmodeSeconds" rule:"optional,max=21600,min=0,int"`
	IsPrivate       *bool     `json:"isPrivate" rule:"optional,bool"`
}

// DeleteChannel deletes a channel with all that is in it.
type DeleteChannel struct {
	ID ChannelID `path:"id" json:"id" rule:"pathUUID"`
}

// ListMentionable asks for the channels that the caller can mention.
type ListMentionable struct {
	CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
}

// MoveChannelUp changes places with the channel of the same type before.
type MoveChannelUp struct {
	ID          ChannelID   `path:"id" json:"id" rule:"pathUUID"`
	CommunityID CommunityID `json:"communityId" rule:"uuid,nonempty,string"`
}

// MoveChannelDown changes places with the channel of the same type after.
type MoveChannelDown struct {
	ID          ChannelID   `path:"id" json:"id" rule:"pathUUID"`
	CommunityID CommunityID `json:"communityId" rule:"uuid,nonempty,string"`
}

// Rows of channels. Their rows of Postgres belong to the community; what is
// said in them to the channel actor.
var (
	ChannelCreate = Define[CreateChannel, Channel](Operation{
		Name: "channel.create", Method: "POST", Path: "/api/channels",
		Home: KindCommunity, Key: "communityId", Permission: ActionCreateChannel, Resource: ResourceCommunity,
	})
	ChannelList = Define[ListChannels, []Channel](Operation{
		Name: "channel.list", Method: "GET", Path: "/api/channels/community/{communityId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionReadChannel, Resource: ResourceCommunity,
	})
	ChannelGet = Define[GetChannel, Channel](Operation{
		Name: "channel.get", Method: "GET", Path: "/api/channels/{id}",
		Home: KindCommunity, Key: "id", Locate: LocateChannel, Permission: ActionReadChannel, Resource: ResourceChannel,
	})
	ChannelMentionable = Define[ListMentionable, []Channel](Operation{
		Name: "channel.mentionable", Method: "GET", Path: "/api/channels/community/{communityId}/mentionable",
		Home: KindCommunity, Key: "communityId", Permission: ActionReadChannel, Resource: ResourceCommunity,
	})
	ChannelUpdate = Define[UpdateChannel, Channel](Operation{
		Name: "channel.update", Method: "PATCH", Path: "/api/channels/{id}",
		Home: KindCommunity, Key: "id", Locate: LocateChannel, Permission: ActionUpdateChannel, Resource: ResourceChannel,
	})
	ChannelDelete = Define[DeleteChannel, None](Operation{
		Name: "channel.delete", Method: "DELETE", Path: "/api/channels/{id}", Status: 204,
		Home: KindCommunity, Key: "id", Locate: LocateChannel, Permission: ActionDeleteChannel, Resource: ResourceChannel,
	})
	ChannelMoveUp = Define[MoveChannelUp, []Channel](Operation{
		Name: "channel.moveUp", Method: "POST", Path: "/api/channels/{id}/move-up", Status: 200,
		Home: KindCommunity, Key: "communityId", Permission: ActionUpdateChannel, Resource: ResourceCommunity,
	})
	ChannelMoveDown = Define[MoveChannelDown, []Channel](Operation{
		Name: "channel.moveDown", Method: "POST", Path: "/api/channels/{id}/move-down", Status: 200,
		Home: KindCommunity, Key: "communityId", Permission: ActionUpdateChannel, Resource: ResourceCommunity,
	})
)

// ChannelCreated is the payload of channelCreated and channelUpdated.
type ChannelCreated struct {
	CommunityID CommunityID `json:"communityId"`
	Channel     Channel     `json:"channel"`
}

// ChannelDeleted is the payload of channelDeleted.
type ChannelDeleted struct {
	CommunityID CommunityID `json:"communityId"`
	ChannelID   ChannelID   `json:"channelId"`
}

// ChannelsReordered is the payload of channelsReordered. Private channels are
// not in it: those who can see them are told of each.
type ChannelsReordered struct {
	CommunityID CommunityID `json:"communityId"`
	Channels    []Channel   `json:"channels"`
}
