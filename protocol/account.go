package protocol

// AccountGone tells a user actor that its account was deleted: its sockets are
// closed, its communities hear that it is offline, and nobody connects to it any
// more. Answered with *Done.
type AccountGone struct {
	Reason string `json:"r"`
}

// AuthorGone tells a channel that an account was deleted: what it wrote has no
// author from now on, and its reactions are gone. It may be lost; then the
// channel shows it after it was loaded again.
type AuthorGone struct {
	User UserID `json:"u"`
}

var (
	_ = wired[AccountGone]("accountGone")
	_ = wired[AuthorGone]("authorGone")
)
