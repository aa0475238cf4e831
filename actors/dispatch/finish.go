package dispatch

import (
	"context"

	"github.com/rookery-chat/rookery/protocol"
)

// finishers turn what an owner answered into what the caller gets, for rows
// whose owner only gives leave to read.
var finishers = map[string]func(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error){
	protocol.MessageSend.Name:    finishSend,
	protocol.MessageList.Name:    finishPage,
	protocol.DirectSend.Name:     finishSend,
	protocol.DirectHistory.Name:  finishGroupPage,
	protocol.DirectMessages.Name: finishDirectMessages,
	protocol.DirectCreate.Name:   finishGroup,
	protocol.DirectGet.Name:      finishGroup,
	protocol.DirectAdd.Name:      finishGroup,
	protocol.ThreadReply.Name:    finishSend,
	protocol.ThreadList.Name:     finishReplies,
	protocol.ThreadGet.Name:      finishThread,
	protocol.MessageGet.Name:     finishMessage,

	protocol.MessageAround.Name:        finishAround,
	protocol.MessageAroundInGroup.Name: finishAround,

	protocol.SearchInChannel.Name:   finishSearchChannel,
	protocol.SearchInGroup.Name:     finishSearchGroup,
	protocol.SearchInCommunity.Name: finishSearchCommunity,

	protocol.MemberList.Name: finishMembers,

	protocol.MemberSearch.Name: finishMemberSearch,
	protocol.MemberGet.Name:    finishMember,

	protocol.ChannelMemberList.Name: finishChannelMembers,
	protocol.ChannelMemberGet.Name:  finishChannelMember,

	protocol.RoleUsers.Name:          finishRoleUsers,
	protocol.ModerationBans.Name:     finishBans,
	protocol.ModerationTimeouts.Name: finishTimeouts,
	protocol.ModerationLogs.Name:     finishModerationLog,
	protocol.PinList.Name:            finishPins,
	protocol.AliasList.Name:          finishAliases,
	protocol.AliasGet.Name:           finishAlias,

	protocol.ReceiptMark.Name:                finishMark,
	protocol.ReceiptCount.Name:               finishUnread,
	protocol.ReceiptLast.Name:                finishLastRead,
	protocol.ReceiptPeers.Name:               finishPeers,
	protocol.ReceiptReaders.Name:             finishReaders,
	protocol.NotificationOverrideGet.Name:    finishOverride,
	protocol.NotificationOverrideSet.Name:    finishSetOverride,
	protocol.NotificationOverrideDelete.Name: finishDeleteOverride,
}

func (d *Dispatcher) finish(ctx context.Context, op *protocol.Operation, cmd, reply any) (any, error) {
	if f := finishers[op.Name]; f != nil {
		return f(ctx, d, cmd, reply)
	}
	switch reply.(type) {
	case *protocol.Done, *protocol.None:
		d.forget(cmd)
		return nil, nil
	}
	return reply, nil
}

// finishSend remembers where the message lives: it is about to be edited,
// reacted to, replied to.
func finishSend(ctx context.Context, d *Dispatcher, _, reply any) (any, error) {
	if cold, ok := reply.(*protocol.ColdMessage); ok { // sent long ago, this is a repeat
		return pointer(d.cfg.DB.Message(ctx, cold.ID))
	}
	if m, ok := reply.(*protocol.Message); ok {
		d.messages.Add(m.ID, m.Place())
	}
	return reply, nil
}

func finishPage(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	return d.page(ctx, protocol.InChannel(cmd.(*protocol.Command[protocol.ListMessages]).Req.ChannelID), reply)
}

// page passes on the page that the owner had in memory, or reads it.
func (d *Dispatcher) page(ctx context.Context, in protocol.Place, reply any) (any, error) {
	grant, ok := reply.(*protocol.PageGrant)
	switch {
	case !ok:
		return reply, nil
	case grant.Page != nil:
		return grant.Page, nil
	}
	page, err := d.cfg.DB.MessagePage(ctx, in, *grant)
	if err != nil {
		return nil, err
	}
	return page.Text, nil
}

// finishMessage reads a message that the owner did not have in memory; leave to
// read it is an answer without a message.
func finishMessage(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	if m, ok := reply.(*protocol.Message); ok {
		return m, nil
	}
	return pointer(d.cfg.DB.Message(ctx, cmd.(*protocol.Command[protocol.GetMessage]).Req.ID))
}

// pointer keeps a nil pointer from becoming an any that is not nil.
func pointer[T any](v *T, err error) (any, error) {
	if err != nil || v == nil {
		return nil, err
	}
	return v, nil
}

// listed is a list that is never null.
func listed[T any](list []T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if list == nil {
		list = []T{}
	}
	return &list, nil
}
