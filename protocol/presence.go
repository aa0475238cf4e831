package protocol

// GetPresence asks whether one user is online.
type GetPresence struct {
	UserID string `path:"userId" json:"userId"`
}

// PresenceOf is the answer to GetPresence.
type PresenceOf struct {
	UserID   string `json:"userId"`
	IsOnline bool   `json:"isOnline"`
}

// ListOnline asks which of those whom the caller may see are online.
type ListOnline struct{}

// GetPresences asks about several users, ids joined by commas.
type GetPresences struct {
	UserIDs string `path:"userIds" json:"userIds"`
}

// MaxPresences bounds the users of one request: a request line of 128 KiB holds
// fewer.
const MaxPresences = 4000

// Presences is who is online.
type Presences struct {
	Presence map[string]bool `json:"presence"`
}

// AskOnline asks a user actor whether its user is online. Answered with *IsOnline.
type AskOnline struct{}

// AskPresence asks a community how many of its members are online. Answered with
// *PresenceScope.
type AskPresence struct{}

// Stirred tells a connection that the members of a community, or their presence,
// changed.
type Stirred struct{ Topic Topic }

// IsOnline answers AskOnline.
type IsOnline struct {
	Online bool `json:"o"`
	Active bool `json:"a"` // at least one connection is not idle
}

// Rows of presence. Whom the caller may not see is offline.
var (
	PresenceGet = Define[GetPresence, PresenceOf](Operation{
		Name: "presence.get", Method: "GET", Path: "/api/presence/user/{userId}", Home: KindEdge,
	})
	PresenceBulk = Define[ListOnline, Presences](Operation{
		Name: "presence.bulk", Method: "GET", Path: "/api/presence/users/bulk", Home: KindEdge,
	})
	PresenceMulti = Define[GetPresences, Presences](Operation{
		Name: "presence.multi", Method: "GET", Path: "/api/presence/users/{userIds}", Home: KindEdge,
	})
)

var (
	_ = wired[AskOnline]("askOnline")
	_ = wired[AskPresence]("askPresence")
	_ = wired[IsOnline]("isOnline")
)
