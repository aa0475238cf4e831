package protocol

// Community is the contract's community object.
type Community struct {
	ID          CommunityID `json:"id"`
	Name        string      `json:"name"`
	CreatedAt   Instant     `json:"createdAt"`
	Avatar      *FileID     `json:"avatar"`
	Banner      *FileID     `json:"banner"`
	Description *string     `json:"description"`
}

// CreateCommunity founds a community; the caller becomes its admin.
type CreateCommunity struct {
	Name        string  `json:"name" rule:"max=100,min=1,string"`
	Description *string `json:"description" rule:"optional,max=500,string"`
	Avatar      *string `json:"avatar" rule:"optional,string"`
	Banner      *string `json:"banner" rule:"optional,string"`

	ID CommunityID `json:"-" cbor:"id"` // chosen by the edge
}

// GetCommunity asks for one community.
type GetCommunity struct {
	ID CommunityID `path:"id" json:"id" rule:"pathUUID"`
}

// Rows of communities.
var (
	CommunityCreate = Define[CreateCommunity, Community](Operation{
		Name: "community.create", Method: "POST", Path: "/api/community",
		Home: KindCommunity, Key: KeyNew, Permission: ActionCreateCommunity, Resource: ResourceInstance,
	})
	CommunityMine = Define[None, []Community](Operation{
		Name: "community.mine", Method: "GET", Path: "/api/community/mine", Home: KindEdge,
	})
	CommunityGet = Define[GetCommunity, Community](Operation{
		Name: "community.get", Method: "GET", Path: "/api/community/{id}",
		Home: KindCommunity, Key: "id", Permission: ActionReadCommunity, Resource: ResourceCommunity,
	})
)

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
)

// ChannelCreated is the payload of channelCreated and channelUpdated.
type ChannelCreated struct {
	CommunityID CommunityID `json:"communityId"`
	Channel     Channel     `json:"channel"`
}

// ReloadCommunity tells a community that its rows were changed by somebody else
// (a restored backup, an operator's tool): it reads them again and takes back
// every answer it gave to channels. Answered with *Done when all of them have
// confirmed.
type ReloadCommunity struct{}

var _ = wired[ReloadCommunity]("reloadCommunity")
