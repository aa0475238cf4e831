package protocol

// AskAccess asks a community what a user may do in one of its channels. The
// channel that asks is remembered as a holder of the answer.
type AskAccess struct {
	Channel ChannelID `json:"c"`
	User    UserID    `json:"u"`
	Owner   bool      `json:"o"`
}

// Access is what a user may do in a channel, as of a version of the community.
type Access struct {
	User         UserID          `json:"u"`
	Actions      ActionSet       `json:"a"` // empty for outsiders and those who can't see the channel
	Member       bool            `json:"m"`
	TimeoutUntil Instant         `json:"t"` // 0: none
	Settings     ChannelSettings `json:"s"`
	Version      int64           `json:"v"`
}

// ChannelSettings is what a channel needs to know of its own row, which the
// community owns.
type ChannelSettings struct {
	Community CommunityID `json:"c"`
	Slowmode  int         `json:"s"` // seconds
	Private   bool        `json:"p"`
	Missing   bool        `json:"x"` // deleted or never there
}

// AccessChanged takes back answers: of the users named, or of everybody. The
// channel acknowledges with *Done; only then does the moderator get his reply.
type AccessChanged struct {
	Users   []UserID `json:"u"` // nil: everybody
	Version int64    `json:"v"`
	Gone    bool     `json:"g"` // the channel was deleted

	Settings *ChannelSettings `json:"s"` // of the channel, when they have changed
}

var (
	_ = wired[AskAccess]("askAccess")
	_ = wired[Access]("access")
	_ = wired[AccessChanged]("accessChanged")
)
