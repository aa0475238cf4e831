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

// UpdateCommunity changes what is given; null clears what may be empty.
type UpdateCommunity struct {
	ID          CommunityID   `path:"id" json:"id" rule:"pathUUID"`
	Name        *string       `json:"name" rule:"optional,max=100,min=1,string"`
	Description Patch[string] `json:"description" rule:"optional,max=500,string"`
	Avatar      Patch[string] `json:"avatar" rule:"optional,string"`
	Banner      Patch[string] `json:"banner" rule:"optional,string"`
}

// DeleteCommunity deletes a community with all that is in it.
type DeleteCommunity struct {
	ID CommunityID `path:"id" json:"id" rule:"pathUUID"`
}

// CommunityStats is a community with its counts.
type CommunityStats struct {
	Community
	MemberCount  int `json:"memberCount"`
	ChannelCount int `json:"channelCount"`
}

// CommunityDetail has the number of messages, deleted ones left out, besides.
type CommunityDetail struct {
	CommunityStats
	MessageCount int `json:"messageCount"`
}

// ListCommunities asks for all communities, as an administrator.
type ListCommunities struct {
	Limit             int    `query:"limit" json:"limit" rule:"queryInt=50"`
	ContinuationToken string `query:"continuationToken" json:"continuationToken" rule:"optional,string"`
	Search            string `query:"search" json:"search" rule:"optional,string"`
}

// CommunityPage is some of them, the newest first.
type CommunityPage struct {
	Communities       []CommunityStats `json:"communities"`
	ContinuationToken *CommunityID     `json:"continuationToken,omitempty"`
}

// InspectCommunity asks for one community, as an administrator.
type InspectCommunity struct {
	ID CommunityID `path:"id" json:"id" rule:"pathUUID"`
}

// RemoveCommunity deletes a community, as an administrator.
type RemoveCommunity struct {
	ID CommunityID `path:"id" json:"id" rule:"pathUUID"`
}

// MaxCommunities bounds the list of all communities.
const MaxCommunities = 100

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
	CommunityUpdate = Define[UpdateCommunity, Community](Operation{
		Name: "community.update", Method: "PATCH", Path: "/api/community/{id}",
		Home: KindCommunity, Key: "id", Permission: ActionUpdateCommunity, Resource: ResourceCommunity,
	})
	CommunityDelete = Define[DeleteCommunity, None](Operation{
		Name: "community.delete", Method: "DELETE", Path: "/api/community/{id}", Status: 204,
		Home: KindCommunity, Key: "id", Permission: ActionDeleteCommunity, Resource: ResourceCommunity,
	})
	CommunityList = Define[None, []Community](Operation{
		Name: "community.list", Method: "GET", Path: "/api/community",
		Home: KindEdge, Permission: ActionReadAllCommunities, Resource: ResourceInstance,
	})
	CommunityPages = Define[ListCommunities, CommunityPage](Operation{
		Name: "community.pages", Method: "GET", Path: "/api/community/admin/list",
		Home: KindEdge, Permission: ActionReadAllCommunities, Resource: ResourceInstance,
	})
	CommunityInspect = Define[InspectCommunity, CommunityDetail](Operation{
		Name: "community.inspect", Method: "GET", Path: "/api/community/admin/{id}",
		Home: KindEdge, Permission: ActionReadAllCommunities, Resource: ResourceInstance,
	})
	CommunityRemove = Define[RemoveCommunity, None](Operation{
		Name: "community.remove", Method: "DELETE", Path: "/api/community/admin/{id}", Status: 204,
		Home: KindCommunity, Key: "id", Permission: ActionDeleteCommunity, Resource: ResourceInstance,
	})
)

// CommunityUpdated is the payload of communityUpdated.
type CommunityUpdated struct {
	CommunityID CommunityID `json:"communityId"`
	Name        string      `json:"name"`
	Description *string     `json:"description"`
	Avatar      *FileID     `json:"avatar"`
	Banner      *FileID     `json:"banner"`
}

// CommunityDeleted is the payload of communityDeleted.
type CommunityDeleted struct {
	CommunityID CommunityID `json:"communityId"`
}

// ReloadCommunity tells a community that its rows were changed by somebody else
// (a restored backup, an operator's tool): it reads them again and takes back
// every answer it gave to channels. Answered with *Done when all of them have
// confirmed.
type ReloadCommunity struct{}

var _ = wired[ReloadCommunity]("reloadCommunity")
