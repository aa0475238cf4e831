package protocol

// BlockUser refuses friend requests between the caller and another user.
type BlockUser struct {
	UserID UserID `path:"userId" json:"userId" rule:"pathUUID"`
}

// UnblockUser ends a block.
type UnblockUser struct {
	UserID UserID `path:"userId" json:"userId" rule:"pathUUID"`
}

// GetBlocked asks whether the caller blocked a user.
type GetBlocked struct {
	UserID UserID `path:"userId" json:"userId" rule:"pathUUID"`
}

// Blocked answers GetBlocked.
type Blocked struct {
	Blocked bool `json:"blocked"`
}

// Rows of blocks.
var (
	BlockAdd = Define[BlockUser, Success](Operation{
		Name: "block.add", Method: "POST", Path: "/api/users/block/{userId}", Home: KindUser, Key: KeyCaller,
	})
	BlockRemove = Define[UnblockUser, Success](Operation{
		Name: "block.remove", Method: "DELETE", Path: "/api/users/block/{userId}", Home: KindUser, Key: KeyCaller,
	})
	BlockList = Define[None, []PublicUser](Operation{
		Name: "block.list", Method: "GET", Path: "/api/users/blocked", Home: KindEdge,
	})
	BlockGet = Define[GetBlocked, Blocked](Operation{
		Name: "block.get", Method: "GET", Path: "/api/users/blocked/{userId}", Home: KindEdge,
	})
)
