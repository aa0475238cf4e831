package protocol

// GetUser asks for one user.
type GetUser struct {
	ID UserID `path:"id" json:"id" rule:"pathUUID"`
}

// GetUserByName asks for the user with exactly this stored name.
type GetUserByName struct {
	Name string `path:"name" json:"name"`
}

// SearchUsers asks for users whose name or display name has a part. With a
// community, only for those who are not members of it.
type SearchUsers struct {
	Query       string `query:"q" json:"q"`
	CommunityID string `query:"communityId" json:"communityId"`
	Limit       int    `query:"limit" json:"limit" rule:"queryLimit=50"`
}

// ListUsers asks for a page of all users, by name.
type ListUsers struct {
	Limit             int    `query:"limit" json:"limit" rule:"queryLimit=50"`
	ContinuationToken string `query:"continuationToken" json:"continuationToken"`
}

// UserPage is a page of users.
type UserPage struct {
	Users             []PublicUser `json:"users"`
	ContinuationToken *UserID      `json:"continuationToken,omitempty"` // absent: there are no more
}

// UpdateProfile changes what the caller shows of himself. Null and, but for the
// display name, blank text clear.
type UpdateProfile struct {
	DisplayName Patch[string] `json:"displayName" rule:"optional,max=32,min=1,string"`
	Avatar      Patch[string] `json:"avatar" rule:"optional,string"`
	Banner      Patch[string] `json:"banner" rule:"optional,string"`
	Bio         Patch[string] `json:"bio" rule:"optional,max=500,string"`
	Status      Patch[string] `json:"status" rule:"optional,max=128,string"`
}

// Rows of profiles.
var (
	UserProfile = Define[None, PublicUser](Operation{
		Name: "user.profile", Method: "GET", Path: "/api/users/profile", Home: KindEdge,
	})
	ProfileUpdate = Define[UpdateProfile, PublicUser](Operation{
		Name: "profile.update", Method: "PATCH", Path: "/api/users/profile", Home: KindUser, Key: KeyCaller,
	})
	UserGet = Define[GetUser, PublicUser](Operation{
		Name: "user.get", Method: "GET", Path: "/api/users/{id}", Home: KindEdge,
	})
	UserByName = Define[GetUserByName, PublicUser](Operation{
		Name: "user.byName", Method: "GET", Path: "/api/users/username/{name}", Home: KindEdge,
	})
	UserSearch = Define[SearchUsers, []PublicUser](Operation{
		Name: "user.search", Method: "GET", Path: "/api/users/search", Home: KindEdge,
	})
	UserList = Define[ListUsers, UserPage](Operation{
		Name: "user.list", Method: "GET", Path: "/api/users",
		Home: KindEdge, Permission: ActionReadUser, Resource: ResourceInstance,
	})
)

// ProfileUpdated is the payload of userProfileUpdated.
type ProfileUpdated struct {
	UserID      UserID  `json:"userId"`
	DisplayName *string `json:"displayName"`
	AvatarURL   *FileID `json:"avatarUrl"`
	BannerURL   *FileID `json:"bannerUrl"`
	Bio         *string `json:"bio"`
	Status      *string `json:"status"`
}

// ProfileChanged tells a user actor that somebody else wrote what its user shows
// of himself: it reads it again. Best effort.
type ProfileChanged struct{}

var _ = wired[ProfileChanged]("profileChanged")
