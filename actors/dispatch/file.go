package dispatch

import (
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

var (
	errNotCommunity = protocol.Forbidden("You must be a member of this community to access this file")
	errNotChannel   = protocol.Forbidden("You must be a member of this private channel to access this file")
	errNotGroup     = protocol.Forbidden("You must be a member of this conversation to access this file")
)

// judgeFile is the contract's table of who may have which file.
func judgeFile(a *persistence.FileAccess, user protocol.UserID) error {
	f := &a.File
	switch f.ResourceType {
	case protocol.FileUserAvatar, protocol.FileUserBanner:
		return nil
	case protocol.FileCommunityAvatar, protocol.FileCommunityBanner, protocol.FileEmoji:
		switch {
		case !a.Community:
			return protocol.ErrFileDenied
		case !a.Member:
			return errNotCommunity
		}
		return nil
	case protocol.FileAttachment:
		return judgeAttachment(a)
	case protocol.FileClip:
		if f.UserID != nil && *f.UserID == user || a.Shared {
			return nil
		}
	}
	return protocol.ErrFileDenied
}

// judgeAttachment judges by the message that the file was uploaded for.
func judgeAttachment(a *persistence.FileAccess) error {
	switch {
	case a.File.MessageID == nil:
		return protocol.ErrFileDenied
	case !a.Message:
		return protocol.NotFound("Message not found")
	case !a.InChannel && a.GroupMember:
		return nil
	case !a.InChannel:
		return errNotGroup
	case !a.Channel:
		return protocol.NotFound("Channel not found")
	case a.Private && !a.ChannelMember:
		return errNotChannel
	case !a.Member:
		return errNotCommunity
	}
	return nil
}
