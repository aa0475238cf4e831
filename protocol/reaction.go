package protocol

// Reacted is one user's choice of one emoji.
type Reacted struct {
	Emoji string `json:"e"`
	User  UserID `json:"u"`
}

// GroupReactions turns choices, in the order in which they were made, into the
// contract's form: emoji in order of their oldest choice that still stands, users
// in order of choosing. It is never nil.
func GroupReactions(choices []Reacted) []Reaction {
	groups := []Reaction{}
next:
	for _, c := range choices {
		for i := range groups {
			if groups[i].Emoji == c.Emoji {
				groups[i].UserIDs = append(groups[i].UserIDs, c.User)
				continue next
			}
		}
		groups = append(groups, Reaction{Emoji: c.Emoji, UserIDs: []UserID{c.User}})
	}
	return groups
}
