package dispatch

import (
	"context"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// Uploads ask other rows, so the map can't name them where it is made.
func init() { answers[protocol.FileUpload.Name] = fileUpload }

// fileUpload decides whether the caller may upload for what he names. It is
// asked when the bytes are there and before they count.
func fileUpload(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	caller, req := callerOf(cmd), requestOf[protocol.UploadFile](cmd)
	grant := &protocol.UploadGrant{}
	if req.ResourceID == "" {
		return grant, nil
	}
	id, err := protocol.ParseID[struct{}](req.ResourceID)
	if err != nil {
		return nil, protocol.Invalid([]protocol.FieldError{{Field: "resourceId", Rule: "isUuid", Message: "resourceId must be a UUID"}})
	}
	switch req.ResourceType {
	case protocol.FileAttachment:
		m := protocol.MessageID(id)
		grant.MessageID = &m
		_, err = d.do(ctx, &protocol.FileForMessage.Operation, caller, pathInput("messageId", req.ResourceID))
	case protocol.FileCommunityAvatar, protocol.FileCommunityBanner, protocol.FileEmoji:
		c := protocol.CommunityID(id)
		grant.CommunityID = &c
		_, err = d.do(ctx, &protocol.FileForCommunity.Operation, caller, pathInput("communityId", req.ResourceID))
	default:
		u := protocol.UserID(id)
		grant.UserID = &u
		if u != caller.UserID {
			err = protocol.ErrForbidden
		}
	}
	if err != nil {
		return nil, err
	}
	return grant, nil
}

func pathInput(name, value string) Input { return Input{Path: map[string]string{name: value}} }

// fileDelete marks a file as deleted and has the messages that show it looked at
// again.
func fileDelete(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	id := requestOf[protocol.DeleteFile](cmd).ID
	f, err := d.cfg.DB.DeleteFile(ctx, id, callerOf(cmd).UserID, protocol.InstantOf(time.Now()))
	if err != nil || f.ResourceType != protocol.FileAttachment {
		return found(f, err)
	}
	places, err := d.cfg.DB.FilePlaces(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, p := range places {
		in := p.In()
		if _, err := d.cfg.Cluster.Ask(ctx, string(in.Kind()), in.ID().String(), &protocol.FileChanged{Message: p.Message}); err != nil {
			d.log.Warn("a message does not know that its file is deleted", "message", p.Message, "error", err)
		}
	}
	return &f, nil
}

func fileGet(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return d.fileFor(ctx, cmd)
}

func fileThumbnail(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	g, err := d.fileFor(ctx, cmd)
	if err == nil && g.Thumbnail == "" {
		return nil, protocol.ErrNoThumbnail
	}
	return g, err
}

func fileMetadata(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	g, err := d.fileFor(ctx, cmd)
	if err != nil {
		return nil, err
	}
	f := &g.File
	return &protocol.FileMetadata{
		ID: f.ID, Filename: f.Filename, MimeType: f.MimeType, FileType: f.FileType, Size: f.Size, HasThumbnail: g.Thumbnail != "",
	}, nil
}

// fileSign makes a link that acts as the caller for an hour; what he may then is
// judged when it is used.
func fileSign(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	g, err := d.fileFor(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return d.cfg.Files.Link(g.File.ID, callerOf(cmd).UserID, time.Now()), nil
}

// fileFor reads a file and judges, on every request, whether the caller may have
// it. Owners of the instance have no way around.
func (d *Dispatcher) fileFor(ctx context.Context, cmd any) (*protocol.FileGrant, error) {
	user := callerOf(cmd).UserID
	a, err := d.cfg.DB.FileAccess(ctx, requestOf[protocol.GetFile](cmd).ID, user)
	if err != nil {
		return nil, err
	}
	if err := judgeFile(&a, user); err != nil {
		return nil, err
	}
	return &a.FileGrant, nil
}
