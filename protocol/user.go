package protocol

// Instance roles.
const (
	RoleOwner = "OWNER"
	RoleUser  = "USER"
)

// PublicUser is the user object wherever a user is shown.
type PublicUser struct {
	ID          UserID   `json:"id"`
	Username    string   `json:"username"`
	Role        string   `json:"role"`
	AvatarURL   *FileID  `json:"avatarUrl"`
	BannerURL   *FileID  `json:"bannerUrl"`
	LastSeen    *Instant `json:"lastSeen"`
	DisplayName *string  `json:"displayName"`
	Bio         *string  `json:"bio"`
	Status      *string  `json:"status"`
}

// AdminUser is the user object of the administration routes.
type AdminUser struct {
	PublicUser
	Email             *string  `json:"email"`
	Verified          bool     `json:"verified"`
	CreatedAt         Instant  `json:"createdAt"`
	StatusUpdatedAt   *Instant `json:"statusUpdatedAt"`
	Banned            bool     `json:"banned"`
	BannedAt          *Instant `json:"bannedAt"`
	BannedByID        *UserID  `json:"bannedById"`
	StorageQuotaBytes int64    `json:"storageQuotaBytes"`
	StorageUsedBytes  int64    `json:"storageUsedBytes"`
}

// RegisterUser is the body of registration.
type RegisterUser struct {
	Code     string  `json:"code" rule:"optionalWhenOpen,string"`
	Username string  `json:"username" rule:"pattern=^[a-zA-Z0-9_-]+$|Username can only contain letters\\, numbers\\, underscores\\, and hyphens,max=32|Username must be at most 32 characters,min=2|Username must be at least 2 characters,string"`
	Password string  `json:"password" rule:"max=128|Password must be at most 128 characters,min=8|Password must be at least 8 characters,string"`
	Email    *string `json:"email" rule:"optionalBlank,email"`

	ID   UserID `json:"-" cbor:"id"`   // chosen by the edge
	Hash string `json:"-" cbor:"hash"` // argon2id, made by the edge: actors never hash; Password is emptied
}

// SetUserBan bans or unbans an account.
type SetUserBan struct {
	ID     UserID `path:"id" json:"id" rule:"pathUUID"`
	Banned bool   `json:"banned" rule:"bool"`
}

// ListAccounts asks for a page of all users, newest first, as administrators see
// them.
type ListAccounts struct {
	Limit             *int   `query:"limit" json:"limit" rule:"optional,numeric,max=100,min=1,number,whole"`
	ContinuationToken string `query:"continuationToken" json:"continuationToken"`
	Banned            string `query:"banned" json:"banned" rule:"optional,enum=true;false"`
	Role              string `query:"role" json:"role" rule:"optional,enum=OWNER;USER"`
	Search            string `query:"search" json:"search"`
}

// AccountPage is a page of users as administrators see them.
type AccountPage struct {
	Users             []AdminUser `json:"users"`
	ContinuationToken *UserID     `json:"continuationToken,omitempty"` // absent: there are no more
}

// GetAccount asks for one user as administrators see him.
type GetAccount struct {
	ID UserID `path:"id" json:"id" rule:"pathUUID"`
}

// SetUserRole makes a user an owner of the instance, or no longer one.
type SetUserRole struct {
	ID   UserID `path:"id" json:"id" rule:"pathUUID"`
	Role string `json:"role" rule:"enum=OWNER;USER"`
}

// DeleteUser deletes an account.
type DeleteUser struct {
	ID UserID `path:"id" json:"id" rule:"pathUUID"`
}

// Rows of users.
var (
	UserRegister = Define[RegisterUser, PublicUser](Operation{
		Name: "user.register", Method: "POST", Path: "/api/users", Public: true, Rate: RateRegister,
		Home: KindInstance, Key: KeySingleton,
	})
	UserAdminList = Define[ListAccounts, AccountPage](Operation{
		Name: "user.adminList", Method: "GET", Path: "/api/users/admin/list",
		Home: KindEdge, Permission: ActionReadUser, Resource: ResourceInstance,
	})
	UserAdminGet = Define[GetAccount, AdminUser](Operation{
		Name: "user.adminGet", Method: "GET", Path: "/api/users/admin/{id}",
		Home: KindEdge, Permission: ActionReadUser, Resource: ResourceInstance,
	})
	UserDelete = Define[DeleteUser, Success](Operation{
		Name: "user.delete", Method: "DELETE", Path: "/api/users/admin/{id}",
		Home: KindInstance, Key: KeySingleton, Permission: ActionDeleteUser, Resource: ResourceInstance,
	})
	UserRole = Define[SetUserRole, AdminUser](Operation{
		Name: "user.role", Method: "PATCH", Path: "/api/users/admin/{id}/role",
		Home: KindInstance, Key: KeySingleton, Permission: ActionUpdateUser, Resource: ResourceInstance,
	})
	UserBan = Define[SetUserBan, AdminUser](Operation{
		Name: "user.ban", Method: "PATCH", Path: "/api/users/admin/{id}/ban",
		Home: KindInstance, Key: KeySingleton, Permission: ActionBanUser, Resource: ResourceInstance,
	})
)

// Connect registers a socket with its user. The answer is *Connected.
type Connect struct {
	Conn    ConnID    `json:"c"`
	Node    string    `json:"n"`
	Session SessionID `json:"s"`
	Token   AnyID     `json:"t"`
	Idle    bool      `json:"i"`
	Parked  bool      `json:"p"` // its client is away and may come back: it hears, but nobody is online
}

// Connected tells a socket what it may hear. Version changes whenever that
// does: a socket that joined its rooms asks once more (SyncRooms) and joins
// again if it moved meanwhile.
type Connected struct {
	User    PublicUser `json:"u"`
	Topics  []Topic    `json:"t"`
	Version int64      `json:"v"`
	Rooms   int64      `json:"r"` // version of the rooms of his communities
}

// SyncRooms asks a user actor whether the rooms changed since a version. The
// answer is *Connected, without Topics when they did not.
type SyncRooms struct {
	Conn    ConnID `json:"c"`
	Version int64  `json:"v"`
	Rooms   int64  `json:"r"`
}

// Disconnect tells a user actor that a socket is gone.
type Disconnect struct {
	Conn ConnID `json:"c"`
}

// Heartbeat renews a socket's registration; it re-registers with a user actor
// that was moved or restarted.
type Heartbeat struct {
	Connect
}

// EndSessions tells a user actor to close sockets: of one login, or all.
// Answered with *Done when the relays were told.
type EndSessions struct {
	Session SessionID `json:"s"` // zero: all
	Token   AnyID     `json:"t"` // zero: all
	Reason  string    `json:"r"`
}

// UserPresence is the payload of userOnline and userOffline.
type UserPresence struct {
	UserID      UserID  `json:"userId"`
	Username    string  `json:"username"`
	DisplayName *string `json:"displayName"`
	AvatarURL   *FileID `json:"avatarUrl"`
}

// MemberPresence tells a community that a member came online or went offline.
// The community counts; the answer says whether it is small enough for
// per-user events.
type MemberPresence struct {
	User   UserID `json:"u"`
	Online bool   `json:"o"`
}

// PresenceScope answers MemberPresence.
type PresenceScope struct {
	Online  int  `json:"n"` // members online now
	Quiet   bool `json:"q"` // too many for an event to each about each
	Changed bool `json:"c"` // news to this community: its members are to be told
}

// PresenceStale tells a user actor that a community counts its user as online
// and has not heard of him for long: it says what is true. It is how a user
// whose actor and sockets died with a node goes offline.
type PresenceStale struct {
	Community CommunityID `json:"c"`
}

// LastRead tells a user actor that the user has read up to his own message:
// his other sockets get readReceiptUpdated. Best effort.
type LastRead struct {
	In      Place     `json:"c"`
	Message MessageID `json:"m"`
	Seq     int64     `json:"s"`
	At      Instant   `json:"a"`
}

var (
	_ = wired[Connect]("connect")
	_ = wired[Connected]("connected")
	_ = wired[SyncRooms]("syncRooms")
	_ = wired[Disconnect]("disconnect")
	_ = wired[Heartbeat]("heartbeat")
	_ = wired[EndSessions]("endSessions")
	_ = wired[MemberPresence]("memberPresence")
	_ = wired[PresenceScope]("presenceScope")
	_ = wired[PresenceStale]("presenceStale")
	_ = wired[LastRead]("lastRead")
)
