package conversation

import (
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// Rules is what kinds of conversations differ in: whether it is there, and who
// may do what. Its methods are called in turns, of callers who passed the kind's
// judge.
type Rules interface {
	// Gone is what callers are told of a conversation that is not there; nil: it is.
	Gone() error
	// Still judges once more a caller who was let in for the action, after a
	// detour.
	Still(c protocol.Caller, needs protocol.Action) error
	// MaySend refuses who may not send now; last is when he sent last, 0: never.
	MaySend(t turn.Turn, last protocol.Instant) error
	// MayTouch refuses who may not change anything now, such as a reaction.
	MayTouch(t turn.Turn) error
	// Actions is what the caller may do to messages of others.
	Actions(c protocol.Caller) protocol.ActionSet
	// Community is whose moderation log is kept; zero: of none.
	Community() protocol.CommunityID
}

// Register registers what every conversation can: log is where the state of the
// kind has it.
func Register[S any](k *turn.Kind[S], log func(*S) *State) {
	k.Busy = func(s *S) bool { return log(s).unwritten() }
	k.Leave = func(s *S, t turn.Turn) turn.Outcome { return log(s).leaveReceipts(t) }
	On(k, protocol.MessageSend, log, (*State).sendMessage, turn.Writes)
	On(k, protocol.MessageGet, log, (*State).getMessage)
	On(k, protocol.MessageEdit, log, (*State).editMessage, turn.Writes)
	On(k, protocol.MessageDelete, log, (*State).deleteMessage, turn.Writes)
	On(k, protocol.ReactionAdd, log, (*State).addReaction, turn.Writes)
	On(k, protocol.ReactionRemove, log, (*State).removeReaction, turn.Writes)
	On(k, protocol.AttachmentAdd, log, (*State).addAttachment, turn.Writes)
	On(k, protocol.FileForMessage, log, (*State).uploadForMessage)
	onMessage(k, log, (*State).fileChanged)
	onMessage(k, log, (*State).expireUploads)
	On(k, protocol.ThreadReply, log, (*State).sendReply, turn.Writes)
	On(k, protocol.ThreadList, log, (*State).listReplies)
	On(k, protocol.ThreadGet, log, (*State).getThread)
	On(k, protocol.ThreadSubscribe, log, (*State).subscribe, turn.Writes)
	On(k, protocol.ThreadUnsubscribe, log, (*State).unsubscribe, turn.Writes)
	On(k, protocol.ReceiptMark, log, (*State).markRead)
	On(k, protocol.ReceiptCount, log, (*State).countUnread)
	On(k, protocol.ReceiptLast, log, (*State).lastRead)
	On(k, protocol.ReceiptReaders, log, (*State).listReaders)
	onMessage(k, log, (*State).aliasGone)
	onMessage(k, log, (*State).typingChanged)
	onMessage(k, log, (*State).flushReceipts)
	onMessage(k, log, (*State).missed)
}

// RegisterChannel registers what names its channel, and what only the log has to
// do with.
func RegisterChannel[S any](k *turn.Kind[S], log func(*S) *State) {
	onMessage(k, log, (*State).AuthorGone)
	On(k, protocol.MessageList, log, (*State).listMessages)
	On(k, protocol.MessageAround, log, (*State).aroundMessage)
	On(k, protocol.SearchInChannel, log, (*State).searchChannel)
	On(k, protocol.NotificationOverrideGet, log, (*State).getOverride)
	On(k, protocol.NotificationOverrideSet, log, (*State).setOverride)
	On(k, protocol.NotificationOverrideDelete, log, (*State).deleteOverride)
	onMessage(k, log, (*State).noticesWanted)
	onMessage(k, log, (*State).noticesUnwanted)
}

// RegisterGroup registers what names its group.
func RegisterGroup[S any](k *turn.Kind[S], log func(*S) *State) {
	On(k, protocol.ReceiptPeers, log, (*State).listPeers)
}

// RegisterModeration registers what moderators do to messages.
func RegisterModeration[S any](k *turn.Kind[S], log func(*S) *State) {
	On(k, protocol.MessagePin, log, (*State).pinMessage, turn.Writes)
	On(k, protocol.MessageUnpin, log, (*State).unpinMessage, turn.Writes)
	On(k, protocol.MessageRemove, log, (*State).removeMessage, turn.Writes)
	On(k, protocol.PinList, log, (*State).listPins)
}

// On registers a handler of the log for an operation. Commands to a conversation
// that is gone are refused before it.
func On[S, Req, Rep any](
	k *turn.Kind[S], op *protocol.Op[Req, Rep], log func(*S) *State,
	h func(*State, turn.Turn, Req) (turn.Outcome, error), opts ...turn.Option,
) {
	h = there(h)
	turn.On(k, op, func(s *S, t turn.Turn, req Req) (turn.Outcome, error) { return h(log(s), t, req) }, opts...)
}

func onMessage[S, M any](k *turn.Kind[S], log func(*S) *State, h func(*State, turn.Turn, *M) (turn.Outcome, error)) {
	turn.OnMessage(k, func(s *S, t turn.Turn, m *M) (turn.Outcome, error) { return h(log(s), t, m) })
}

// there refuses commands to a conversation that does not exist.
func there[Req any](h func(*State, turn.Turn, Req) (turn.Outcome, error)) func(*State, turn.Turn, Req) (turn.Outcome, error) {
	return func(s *State, t turn.Turn, req Req) (turn.Outcome, error) {
		if err := s.rules.Gone(); err != nil {
			return turn.Outcome{}, err
		}
		return h(s, t, req)
	}
}

// Scope is how much of a log New wants to be given.
func Scope(now protocol.Instant) persistence.LogScope {
	return persistence.LogScope{Messages: maxRecent, Sends: maxSends, Since: now - sendWindow, Now: now}
}

// New is a conversation as it was loaded.
func New(env *turn.Env, t turn.Turn, in protocol.Place, rules Rules, l *persistence.Log) *State {
	return newState(in, rules, l, archive{
		db: env.DB, writer: env.Writer, pages: env.DB.Pages(in, t.Owner.Epoch), log: env.Log.With("in", in.String()),
		noticed: env.Noticed,
	})
}

// Nowhere is a conversation that never was.
func Nowhere(rules Rules) *State {
	return newState(protocol.Place{}, rules, &persistence.Log{}, archive{})
}

// Vanish drops everything: the conversation was deleted, as its rules say from
// now on.
func (s *State) Vanish() {
	s.recent, s.changes = recent{}, changes{}
	s.warm, s.holes = nil, nil
	clear(s.byID)
	clear(s.pages)
	s.archive.pages.Clear()
}

// gone reports whether the conversation was deleted or never there.
func (s *State) gone() bool { return s.rules.Gone() != nil }
