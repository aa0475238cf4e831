package protocol

// AskOverview asks a user actor for what a session begins with. Answered with
// *Overview.
type AskOverview struct {
	Owner  bool `json:"o"` // the user is an owner of the instance
	Unread bool `json:"u"` // with what he has not read
}

// Overview is where a user is, and how much he has not read there.
type Overview struct {
	Communities []CommunityOverview `json:"c"` // in the order of joining
	Groups      []GroupOverview     `json:"g"` // those with something unread only
}

// CommunityOverview is a community as the ready frame of the native protocol
// shows it. The figures are absent when they were not asked for.
type CommunityOverview struct {
	ID       CommunityID `json:"id"`
	Name     string      `json:"name"`
	Unread   *int        `json:"unread,omitempty"` // of all channels that the user may read
	Mentions *int        `json:"mentions,omitempty"`
}

// GroupOverview is a direct message group likewise.
type GroupOverview struct {
	ID       GroupID `json:"id"`
	Unread   *int    `json:"unread,omitempty"`
	Mentions *int    `json:"mentions,omitempty"`
}

// MaxOverviewUnread is where counting ends for one channel or group of an
// overview: it is asked for at every start of a session.
const MaxOverviewUnread = 100

var (
	_ = wired[AskOverview]("askOverview")
	_ = wired[Overview]("overview")
)
