package dispatch

import (
	"context"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

func instanceStats(ctx context.Context, d *Dispatcher, _ any) (any, error) {
	return found(d.stats.get(ctx, func(ctx context.Context) (protocol.InstanceStats, error) {
		return d.cfg.DB.Stats(ctx, protocol.InstantOf(time.Now()))
	}))
}

func storageMine(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return found(d.cfg.DB.UserStorage(ctx, callerOf(cmd).UserID))
}

func storageGet(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return found(d.cfg.DB.UserStorage(ctx, requestOf[protocol.GetUserStorage](cmd).UserID))
}

func storageList(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return found(d.cfg.DB.FullestUsers(ctx, requestOf[protocol.ListStorage](cmd)))
}

func storageInstance(ctx context.Context, d *Dispatcher, _ any) (any, error) {
	s, err := d.storage.get(ctx, d.cfg.DB.InstanceStorage)
	if err == nil && d.cfg.Machine != nil {
		s.Server = d.cfg.Machine()
	}
	return found(s, err)
}
