package dispatch

import (
	"context"

	"github.com/rookery-chat/rookery/protocol"
)

// What the owners of conversations give leave to, see finishers: what is read and
// written then are rows about the caller, or about who has read what he may read.

// finishMark tells the caller's actor how far he has read. Over REST it is silent.
func finishMark(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	c := cmd.(*protocol.Command[protocol.MarkRead])
	g := reply.(*protocol.ReadGrant)
	m := &protocol.AdvanceRead{
		In: g.In, Message: c.Req.LastReadMessageID, Seq: g.Seq, SentAt: g.SentAt, Silent: c.Caller.Conn.IsZero(),
	}
	if m.Seq == 0 {
		var err error
		if m.Seq, m.SentAt, err = d.cfg.DB.ReadPlace(ctx, m.Message, g.In); err != nil {
			return nil, err
		}
	}
	return d.cfg.Cluster.Ask(ctx, string(protocol.KindUser), c.Caller.UserID.String(), m)
}

func finishUnread(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	g := reply.(*protocol.ReadGrant)
	return found(d.cfg.DB.UnreadIn(ctx, callerOf(cmd).UserID, g.In, g.Own))
}

func finishLastRead(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	g := reply.(*protocol.ReadGrant)
	id, err := d.cfg.DB.LastRead(ctx, callerOf(cmd).UserID, g.In, g.Own)
	return found(protocol.LastReadMessage{LastReadMessageID: id.Ptr()}, err)
}

func finishPeers(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	return listed(d.cfg.DB.PeerReads(ctx, reply.(*protocol.ReadGrant).In.Group, callerOf(cmd).UserID))
}

func finishReaders(ctx context.Context, d *Dispatcher, cmd, reply any) (any, error) {
	c := cmd.(*protocol.Command[protocol.ListReaders])
	g := reply.(*protocol.ReadGrant)
	seq := g.Seq
	if seq == 0 {
		var err error
		if seq, _, err = d.cfg.DB.ReadPlace(ctx, c.Req.MessageID, g.In); err != nil {
			return nil, err
		}
	}
	return listed(d.cfg.DB.Readers(ctx, g.In, seq, c.Caller.UserID))
}
