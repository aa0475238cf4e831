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

// PresenceGet is the only row of presence.
var PresenceGet = Define[GetPresence, PresenceOf](Operation{
	Name: "presence.get", Method: "GET", Path: "/api/presence/user/{userId}", Home: KindEdge,
})

var (
	_ = wired[AskOnline]("askOnline")
	_ = wired[AskPresence]("askPresence")
	_ = wired[IsOnline]("isOnline")
)
