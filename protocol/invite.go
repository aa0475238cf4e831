package protocol

// Invite is the contract's instance invite. CreatedBy is absent (not null) in
// the answer to its creation.
type Invite struct {
	ID                 InviteID          `json:"id"`
	Code               string            `json:"code"`
	CreatedByID        *UserID           `json:"createdById"`
	MaxUses            *int              `json:"maxUses"`
	Uses               int               `json:"uses"`
	ValidUntil         *Instant          `json:"validUntil"`
	CreatedAt          Instant           `json:"createdAt"`
	Disabled           bool              `json:"disabled"`
	CreatedBy          **InviteCreator   `json:"createdBy,omitempty" cbor:"-"`
	DefaultCommunities []InviteCommunity `json:"defaultCommunities"`
	Usages             []InviteUsage     `json:"usages"`
}

// InviteCreator is who made an invite.
type InviteCreator struct {
	ID          UserID  `json:"id"`
	Username    string  `json:"username"`
	DisplayName *string `json:"displayName"`
}

// InviteCommunity is a community that an invite leads to.
type InviteCommunity struct {
	ID          AnyID       `json:"id"`
	InviteID    InviteID    `json:"inviteId"`
	CommunityID CommunityID `json:"communityId"`
}

// InviteUsage is one use of an invite.
type InviteUsage struct {
	ID       AnyID    `json:"id"`
	InviteID InviteID `json:"inviteId"`
	UserID   UserID   `json:"userId"`
	UsedAt   Instant  `json:"usedAt"`
}

// CreateInvite makes an invite to the instance and, through it, to communities.
type CreateInvite struct {
	MaxUses      *int          `json:"maxUses" rule:"optional,min=1,int"`
	ValidUntil   *Instant      `json:"validUntil" rule:"optional,jsDate"`
	CommunityIDs []CommunityID `json:"communityIds" rule:"eachUUID,array"`
}

// GetInvite asks for an invite by its code.
type GetInvite struct {
	Code string `path:"code" json:"code"`
}

// DeleteInvite deletes an invite with its uses.
type DeleteInvite struct {
	Code string `path:"code" json:"code"`
}

// Rows of invites.
var (
	InviteCreate = Define[CreateInvite, Invite](Operation{
		Name: "invite.create", Method: "POST", Path: "/api/invite",
		Home: KindInstance, Key: KeySingleton, Permission: ActionCreateInstanceInvite, Resource: ResourceInstance,
	})
	InviteList = Define[None, []Invite](Operation{
		Name: "invite.list", Method: "GET", Path: "/api/invite",
		Home: KindEdge, Permission: ActionReadInstanceInvite, Resource: ResourceInstance,
	})
	InviteGet = Define[GetInvite, Invite](Operation{
		Name: "invite.get", Method: "GET", Path: "/api/invite/{code}",
		Home: KindEdge, Permission: ActionReadInstanceInvite, Resource: ResourceInstance,
	})
	InviteDelete = Define[DeleteInvite, None](Operation{
		Name: "invite.delete", Method: "DELETE", Path: "/api/invite/{code}", Status: 204,
		Home: KindInstance, Key: KeySingleton, Permission: ActionDeleteInstanceInvite, Resource: ResourceInstance,
	})
	InvitePublic = Define[GetInvite, Invite](Operation{
		Name: "invite.public", Method: "GET", Path: "/api/invite/public/{code}",
		Home: KindEdge, Public: true, Rate: RateInvite,
	})
)
