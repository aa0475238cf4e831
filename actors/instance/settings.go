package instance

import (
	"context"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

func (s *State) settings() *protocol.InstanceSettings {
	r := &s.rows
	return &protocol.InstanceSettings{
		ID: r.ID, Name: r.Name, Description: r.Description, RegistrationMode: r.Registration,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, DefaultStorageQuotaBytes: r.Quota, MaxFileSizeBytes: r.MaxFileSize,
		VapidPublicKey: r.VapidKey, VapidSubject: r.VapidSubject,
	}
}

func (s *State) getSettings(turn.Turn, protocol.GetInstanceSettings) (turn.Outcome, error) {
	return turn.Outcome{Reply: s.settings()}, nil
}

func (s *State) updateSettings(t turn.Turn, req protocol.UpdateInstanceSettings) (turn.Outcome, error) {
	return s.change(t, req, func() any { return s.settings() }), nil
}

// updateStorageSettings is the other form in which clients set the same.
func (s *State) updateStorageSettings(t turn.Turn, req protocol.UpdateStorageSettings) (turn.Outcome, error) {
	c := protocol.UpdateInstanceSettings{
		DefaultStorageQuotaBytes: req.DefaultStorageQuotaBytes, MaxFileSizeBytes: req.MaxFileSizeBytes,
	}
	return s.change(t, c, func() any { return &protocol.Success{Success: true} }), nil
}

func (s *State) change(t turn.Turn, c protocol.UpdateInstanceSettings, reply func() any) turn.Outcome {
	db, owner, at := s.db, t.Owner, t.Now
	return turn.Outcome{Commit: func(ctx context.Context) (turn.Then, error) {
		if err := db.UpdateInstance(ctx, owner, c, at); err != nil {
			return nil, err
		}
		return func(turn.Turn) (turn.Outcome, error) {
			s.changed(c, at)
			return turn.Outcome{Reply: reply()}, nil
		}, nil
	}}
}

func (s *State) changed(c protocol.UpdateInstanceSettings, at protocol.Instant) {
	r := &s.rows
	r.Name, r.Registration = given(c.Name, r.Name), given(c.RegistrationMode, r.Registration)
	r.Quota, r.MaxFileSize = given(c.DefaultStorageQuotaBytes, r.Quota), given(c.MaxFileSizeBytes, r.MaxFileSize)
	r.Description, r.UpdatedAt = c.Description.Or(r.Description), at
}

func given[T any](v *T, old T) T {
	if v == nil {
		return old
	}
	return *v
}
