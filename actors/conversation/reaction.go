package conversation

import (
	"fmt"
	"slices"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

var errTooManyEmoji = protocol.BadRequest(fmt.Sprintf("A message can have at most %d different reactions", rules.MaxReactionKinds))

// addReaction is idempotent; the event is sent in any case.
func (s *State) addReaction(t turn.Turn, req protocol.AddReaction) (turn.Outcome, error) {
	if err := rules.Emoji(req.Emoji); err != nil {
		return turn.Outcome{}, err
	}
	return s.withMessage(t, req.MessageID, protocol.ReactionAdd.Permission, func(t turn.Turn, e *entry) (turn.Outcome, error) {
		if err := s.mayReact(t, e, req.MessageID); err != nil {
			return turn.Outcome{}, err
		}
		choice := protocol.Reacted{Emoji: req.Emoji, User: t.Caller.UserID}
		var rows []persistence.Row
		if !slices.Contains(e.choices, choice) {
			if indexEmoji(e.msg.Reactions, req.Emoji) < 0 && len(e.msg.Reactions) >= rules.MaxReactionKinds {
				return turn.Outcome{}, errTooManyEmoji
			}
			rows = append(rows, &persistence.ReactionRow{
				ID: newRowID(), Message: e.msg.ID, Emoji: choice.Emoji, User: choice.User, At: s.now(t),
			})
			s.react(e, append(slices.Clip(e.choices), choice))
		}
		return s.reacted(t, e, rows, s.event(t, "reactionAdded", encode(protocol.ReactionAdded{
			MessageID: e.msg.ID, Reaction: e.msg.Reactions[indexEmoji(e.msg.Reactions, req.Emoji)],
			ChannelID: s.channel, DirectMessageGroupID: s.group, ParentMessageID: e.msg.ParentMessageID,
		}))), nil
	})
}

// removeReaction takes the caller's own choice back; the event is sent in any
// case.
func (s *State) removeReaction(t turn.Turn, req protocol.RemoveReaction) (turn.Outcome, error) {
	return s.withMessage(t, req.MessageID, protocol.ReactionRemove.Permission, func(t turn.Turn, e *entry) (turn.Outcome, error) {
		if err := s.mayReact(t, e, req.MessageID); err != nil {
			return turn.Outcome{}, err
		}
		choice := protocol.Reacted{Emoji: req.Emoji, User: t.Caller.UserID}
		var rows []persistence.Row
		if i := slices.Index(e.choices, choice); i >= 0 {
			rows = append(rows, &persistence.UnreactedRow{Message: e.msg.ID, Emoji: choice.Emoji, User: choice.User})
			s.react(e, slices.Concat(e.choices[:i], e.choices[i+1:]))
		}
		return s.reacted(t, e, rows, s.event(t, "reactionRemoved", encode(protocol.ReactionRemoved{
			MessageID: e.msg.ID, Emoji: req.Emoji, Reactions: e.msg.Reactions,
			ChannelID: s.channel, DirectMessageGroupID: s.group, ParentMessageID: e.msg.ParentMessageID,
		}))), nil
	})
}

// mayReact refuses what the reference refuses: who may not know learns nothing
// about which messages exist.
func (s *State) mayReact(t turn.Turn, e *entry, id protocol.MessageID) error {
	switch {
	case e == nil && t.Caller.Owner:
		return protocol.NotFound("Message " + id.String() + " not found")
	case e == nil:
		return protocol.ErrForbidden
	}
	return s.rules.MayTouch(t)
}

// react gives a message other choices.
func (s *State) react(e *entry, choices []protocol.Reacted) {
	m := *e.msg
	m.Reactions = protocol.GroupReactions(choices)
	s.replace(e, &m, choices)
}

func (s *State) reacted(t turn.Turn, e *entry, rows []persistence.Row, event protocol.Event) turn.Outcome {
	m := e.msg
	return turn.Outcome{
		Reply: &protocol.ReactedMessage{
			ID: m.ID, ChannelID: m.ChannelID, DirectMessageGroupID: m.DirectMessageGroupID, AuthorID: m.AuthorID,
			SentAt: m.SentAt, EditedAt: m.EditedAt, DeletedAt: m.DeletedAt, PendingAttachments: m.PendingAttachments,
			SearchText: m.SearchText, Pinned: m.Pinned, PinnedAt: m.PinnedAt, PinnedBy: m.PinnedBy,
			DeletedBy: m.DeletedBy, DeletedByReason: m.DeletedByReason, ParentMessageID: m.ParentMessageID,
			ReplyCount: m.ReplyCount, LastReplyAt: m.LastReplyAt, Reactions: m.Reactions,
		},
		Rows: rows, AfterRows: true,
		Events:  []protocol.Event{event},
		Refused: func(turn.Turn, error) turn.Outcome { return s.reread(t.Owner, m.ID) },
	}
}

func indexEmoji(list []protocol.Reaction, emoji string) int {
	return slices.IndexFunc(list, func(r protocol.Reaction) bool { return r.Emoji == emoji })
}
