package protocol

import "reflect"

// Limits of a search.
const (
	MaxSearchOffset = 1000 // who wants to see more narrows the search
)

// Requests for messages by what they say. The best match is first, and of those
// the newest; Offset leads to further ones. A blank query finds nothing.
type (
	// SearchChannel looks into one channel.
	SearchChannel struct {
		ChannelID     ChannelID `path:"channelId" json:"channelId" rule:"pathUUID"`
		Query         string    `query:"q" json:"q" rule:"optional,max=512,string"`
		Limit         int       `query:"limit" json:"limit" rule:"queryInt=50"`
		Offset        int       `query:"offset" json:"offset" rule:"queryOffset=0"`
		AuthorID      *UserID   `query:"authorId" json:"authorId" rule:"optionalBlank,uuid"`
		HasAttachment string    `query:"hasAttachment" json:"hasAttachment" rule:"optionalBlank,enum=true;false"`
		FileType      string    `query:"fileType" json:"fileType" rule:"optionalBlank,enum=IMAGE;VIDEO;AUDIO;DOCUMENT;OTHER"`
		After         Instant   `query:"after" json:"after" rule:"optionalBlank,isoDate"`
		Before        Instant   `query:"before" json:"before" rule:"optionalBlank,isoDate"`
	}
	// SearchGroup looks into a direct message group.
	SearchGroup struct {
		GroupID       GroupID `path:"groupId" json:"groupId" rule:"pathUUID"`
		Query         string  `query:"q" json:"q" rule:"optional,max=512,string"`
		Limit         int     `query:"limit" json:"limit" rule:"queryInt=50"`
		Offset        int     `query:"offset" json:"offset" rule:"queryOffset=0"`
		AuthorID      *UserID `query:"authorId" json:"authorId" rule:"optionalBlank,uuid"`
		HasAttachment string  `query:"hasAttachment" json:"hasAttachment" rule:"optionalBlank,enum=true;false"`
		FileType      string  `query:"fileType" json:"fileType" rule:"optionalBlank,enum=IMAGE;VIDEO;AUDIO;DOCUMENT;OTHER"`
		After         Instant `query:"after" json:"after" rule:"optionalBlank,isoDate"`
		Before        Instant `query:"before" json:"before" rule:"optionalBlank,isoDate"`
	}
	// SearchCommunity looks into the channels of a community that the caller can
	// see into, or into one of them.
	SearchCommunity struct {
		CommunityID   CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
		Query         string      `query:"q" json:"q" rule:"optional,max=512,string"`
		Limit         int         `query:"limit" json:"limit" rule:"queryInt=50"`
		Offset        int         `query:"offset" json:"offset" rule:"queryOffset=0"`
		ChannelID     *ChannelID  `query:"channelId" json:"channelId" rule:"optionalBlank,uuid"`
		AuthorID      *UserID     `query:"authorId" json:"authorId" rule:"optionalBlank,uuid"`
		HasAttachment string      `query:"hasAttachment" json:"hasAttachment" rule:"optionalBlank,enum=true;false"`
		FileType      string      `query:"fileType" json:"fileType" rule:"optionalBlank,enum=IMAGE;VIDEO;AUDIO;DOCUMENT;OTHER"`
		After         Instant     `query:"after" json:"after" rule:"optionalBlank,isoDate"`
		Before        Instant     `query:"before" json:"before" rule:"optionalBlank,isoDate"`
	}
)

// SearchGrant is an owner's leave to search: a community's names the channels.
type SearchGrant struct {
	Channels []ChannelID `json:"c"`
	Names    []string    `json:"n"` // of the channels
}

// FoundMessage is a message with the name of its channel.
type FoundMessage struct {
	Message
	ChannelName string `json:"channelName"`
}

// Rows of the search.
var (
	SearchInChannel = Define[SearchChannel, SearchGrant](Operation{
		Name: "search.channel", Method: "GET", Path: "/api/messages/search/channel/{channelId}",
		Home: KindChannel, Key: "channelId", Permission: ActionReadMessage, Resource: ResourceChannel, Shows: reflect.TypeFor[[]Message](),
	})
	SearchInGroup = Define[SearchGroup, SearchGrant](Operation{
		Name: "search.group", Method: "GET", Path: "/api/messages/search/group/{groupId}",
		Home: KindDM, Key: "groupId", Permission: ActionReadMessage, Resource: ResourceGroup, Shows: reflect.TypeFor[[]Message](),
	})
	SearchInCommunity = Define[SearchCommunity, SearchGrant](Operation{
		Name: "search.community", Method: "GET", Path: "/api/messages/search/community/{communityId}",
		Home: KindCommunity, Key: "communityId", Permission: ActionReadMessage, Resource: ResourceCommunity,
		Shows: reflect.TypeFor[[]FoundMessage](),
	})
)
