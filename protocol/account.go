package protocol

// ChangePassword replaces one's own password. All other logins end.
type ChangePassword struct {
	CurrentPassword string `json:"currentPassword" rule:"string,nonempty"`
	NewPassword     string `json:"newPassword" rule:"max=128,min=8,string"`

	Proven string `json:"-" cbor:"proven"` // the hash that CurrentPassword was checked against, by the edge
	Hash   string `json:"-" cbor:"hash"`   // of NewPassword; both passwords are emptied
}

// DeleteAccount deletes one's own account.
type DeleteAccount struct {
	CurrentPassword string `json:"currentPassword" rule:"string,nonempty"` // checked and emptied by the edge
}

// MakeResetLink makes a link with which the password of an account can be set
// once.
type MakeResetLink struct {
	ID UserID `path:"id" json:"id" rule:"pathUUID"`
}

// ResetLink is such a link. The token is shown this once.
type ResetLink struct {
	Token     string  `json:"token"`
	URL       string  `json:"url"` // of the page that asks for the new password
	ExpiresAt Instant `json:"expiresAt"`
}

// ResetPassword sets a password with the token of a link.
type ResetPassword struct {
	Token       string `json:"token" rule:"max=128,string,nonempty"`
	NewPassword string `json:"newPassword" rule:"max=128,min=8,string"`

	TokenHash [32]byte `json:"-" cbor:"token"` // SHA-256, made by the edge; Token and NewPassword are emptied
	Hash      string   `json:"-" cbor:"hash"`
}

// Rows of accounts.
var (
	AccountPassword = Define[ChangePassword, Tokens](Operation{
		Name: "account.password", Method: "PATCH", Path: "/api/account/password", Rate: RatePassword,
		Home: KindUser, Key: KeyCaller,
	})
	AccountDelete = Define[DeleteAccount, Success](Operation{
		Name: "account.delete", Method: "DELETE", Path: "/api/account", Rate: RatePassword,
		Home: KindInstance, Key: KeySingleton,
	})
	AccountExport = Define[None, None](Operation{
		Name: "account.export", Method: "GET", Path: "/api/account/export", Rate: RateExport, RESTOnly: true, Home: KindEdge,
	})
	AccountResetLink = Define[MakeResetLink, ResetLink](Operation{
		Name: "account.resetLink", Method: "POST", Path: "/api/users/admin/{id}/password-reset",
		Home: KindEdge, Permission: ActionUpdateUser, Resource: ResourceInstance,
	})
	AccountReset = Define[ResetPassword, Success](Operation{
		Name: "account.reset", Method: "POST", Path: "/api/account/password-reset", Status: 200, Public: true, Rate: RateReset,
		Home: KindInstance, Key: KeySingleton,
	})
)

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
