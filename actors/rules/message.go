package rules

import "github.com/rookery-chat/rookery/protocol"

// CanEdit reports whether the user may change a message: only its author. A
// message without an author (the account is gone) belongs to nobody.
func CanEdit(user protocol.UserID, author *protocol.UserID) bool {
	return author != nil && !user.IsZero() && *author == user
}

// CanDelete reports whether the user may remove a message: its author, or who
// moderates the channel.
func CanDelete(user protocol.UserID, author *protocol.UserID, actions protocol.ActionSet) bool {
	return CanEdit(user, author) ||
		actions.Has(protocol.ActionDeleteMessage) || actions.Has(protocol.ActionDeleteAnyMessage)
}
