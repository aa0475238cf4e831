package main

import (
	"context"
	"fmt"
	"os"

	"github.com/rookery-chat/rookery/actors/notice"
	"github.com/rookery-chat/rookery/actors/push"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/jobs"
	"github.com/rookery-chat/rookery/protocol"
)

// openPush finds the keys by which push services know this instance: those of the
// environment, those that are stored, or new ones, on which all nodes agree.
func (s *server) openPush(ctx context.Context) error {
	keys := persistence.VAPID{Public: os.Getenv("VAPID_PUBLIC_KEY"), Private: os.Getenv("VAPID_PRIVATE_KEY")}
	if keys.Public == "" || keys.Private == "" {
		offer, err := push.NewKeys()
		if err != nil {
			return fmt.Errorf("make VAPID keys: %w", err)
		}
		if keys, err = s.db.AgreeVAPID(ctx, offer); err != nil {
			return err
		}
	}
	if subject := os.Getenv("VAPID_SUBJECT"); subject != "" {
		keys.Subject = subject
	}
	var err error
	s.push, err = push.New(push.Config{DB: s.db, Cluster: s.node, Keys: keys, Private: s.cfg.privatePush, Log: s.log})
	return err
}

// startJobs begins what runs beside requests: scheduled work, deliveries, and the
// notifications of messages.
func (s *server) startJobs(ctx context.Context, chores []jobs.Chore) (err error) {
	s.jobs, err = jobs.Start(ctx, jobs.Config{DB: s.db, Chores: chores, Log: s.log, Deliver: s.push.Deliver, Thumbnails: s.thumbnails()})
	if err != nil {
		return err
	}
	s.notices = notice.Start(notice.Config{Node: s.node, DB: s.db, Log: s.log, Push: s.jobs.Push})
	s.noticed.Store(s.notices)
	return nil
}

// wakeNotices is called by actors when messages that may notify somebody are
// stored. What comes before the service runs it finds by itself.
func (s *server) wakeNotices() {
	if n := s.noticed.Load(); n != nil {
		n.Wake()
	}
}

// deliverNotification has a notification pushed that a user has made himself.
func (s *server) deliverNotification(ctx context.Context, id protocol.AnyID) error {
	if n := s.noticed.Load(); n != nil {
		return n.Deliver(ctx, id)
	}
	return protocol.ErrUnavailable
}
