package persistence

import "github.com/rookery-chat/rookery/protocol"

// mention is one thing that a message names: exactly one of the others is set.
type mention struct {
	message protocol.MessageID
	user    protocol.UserID
	alias   protocol.AnyID
	kind    string // special: here, channel
}

// mentionsIn lists what spans name.
func mentionsIn(list []mention, message protocol.MessageID, spans []protocol.Span) []mention {
	for i := range spans {
		s := &spans[i]
		if s.UserID != nil {
			list = append(list, mention{message: message, user: *s.UserID})
		}
		if s.AliasID != nil {
			list = append(list, mention{message: message, alias: *s.AliasID})
		}
		if s.SpecialKind != nil {
			list = append(list, mention{message: message, kind: *s.SpecialKind})
		}
	}
	return list
}

// names reports whether spans name anything that Postgres has to look up or to
// remember.
func names(spans []protocol.Span) bool {
	for i := range spans {
		if s := &spans[i]; s.UserID != nil || s.AliasID != nil || s.SpecialKind != nil {
			return true
		}
	}
	return false
}

// mentionArgs are mentions as parallel arrays.
func mentionArgs(list []mention) []any {
	messages, users := make([]protocol.MessageID, len(list)), make([]protocol.UserID, len(list))
	aliases, kinds := make([]protocol.AnyID, len(list)), make([]string, len(list))
	for i, m := range list {
		messages[i], users[i], aliases[i], kinds[i] = m.message, m.user, m.alias, m.kind
	}
	return []any{messages, users, aliases, kinds}
}

// insertMentions is the end of statements that store messages: of what is named
// it keeps what exists, once each, for messages in the table "of".
func insertMentions(arrays, of string) string {
	return `
	INSERT INTO message_mention (message_id, user_id, alias_id, special_kind)
	SELECT DISTINCT n.message_id, u.id, a.id, nullif(n.kind, '')
	FROM unnest(` + arrays + `) AS n (message_id, user_id, alias_id, kind)
	JOIN ` + of + ` of ON of.id = n.message_id
	LEFT JOIN app_user u ON u.id = n.user_id
	LEFT JOIN alias_group a ON a.id = n.alias_id
	WHERE num_nonnulls(u.id, a.id, nullif(n.kind, '')) = 1`
}
