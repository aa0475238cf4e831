//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"

	"github.com/jackc/pgx/v5"

	client "github.com/rookery-chat/rookery/cmd/load"
)

// The seeds are SQL: a login hashes a password, and ten thousand of them would
// take longer than everything that is measured here.

// populate makes users, and private channels. The community's actor must not
// have been asked afterwards: the server is started anew for each measurement.
func (s *stage) populate(ctx context.Context) error {
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	s.users = make([]member, allUsers)
	for i := range s.users {
		s.users[i].id = newID()
	}
	err = copyRows(ctx, db, "app_user", []string{"id", "username", "password_hash"}, allUsers, func(i int) []any {
		return []any{s.users[i].id, username(i), "none"}
	})
	if err != nil {
		return err
	}
	err = copyRows(ctx, db, "membership", []string{"id", "user_id", "community_id"}, allUsers, func(i int) []any {
		return []any{newID(), s.users[i].id, s.community}
	})
	if err != nil {
		return err
	}
	_, err = db.Exec(ctx, `
		INSERT INTO role_assignment (id, user_id, community_id, role_id)
		SELECT gen_random_uuid(), m.user_id, m.community_id, r.id
		FROM membership m JOIN role r ON r.community_id = m.community_id AND r.name = 'Member'
		WHERE m.community_id = $1
		ON CONFLICT DO NOTHING`, s.community)
	if err != nil {
		return err
	}
	if s.own, err = s.channels(ctx, db, "own", senders, func(i int) []member { return s.users[i : i+1] }); err != nil {
		return err
	}
	if s.plain, err = s.channels(ctx, db, "plain", senders, func(int) []member { return nil }); err != nil {
		return err
	}
	archive, err := s.channels(ctx, db, "archive", 1, func(int) []member { return s.users[:readers] })
	if err != nil {
		return err
	}
	s.archive = archive[0]
	_, err = db.Exec(ctx, "ANALYZE app_user, membership, role_assignment, channel, channel_membership")
	return err
}

// database connects to the Postgres of the running server.
func (s *stage) database(ctx context.Context) (*pgx.Conn, error) {
	url, err := s.databaseURL(ctx)
	if err != nil {
		return nil, err
	}
	return pgx.Connect(ctx, url)
}

func (s *stage) databaseURL(ctx context.Context) (string, error) {
	url, err := exec.CommandContext(ctx, s.binary, "postgres-url", "--data", s.dir).Output()
	if err != nil {
		return "", fmt.Errorf("ask for the database: %w", err)
	}
	return strings.TrimSpace(string(url)), nil
}

func copyRows(ctx context.Context, db *pgx.Conn, name string, columns []string, n int, row func(i int) []any) error {
	i := 0
	_, err := db.CopyFrom(ctx, pgx.Identifier{name}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		if i == n {
			return nil, nil
		}
		i++
		return row(i - 1), nil
	}))
	if err != nil {
		return fmt.Errorf("copy %s: %w", name, err)
	}
	return nil
}

// channels makes private text channels with the members that of names.
func (s *stage) channels(ctx context.Context, db *pgx.Conn, name string, n int, of func(i int) []member) ([]string, error) {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = newID()
		_, err := db.Exec(ctx, "INSERT INTO channel (id, name, community_id, is_private) VALUES ($1, $2, $3, true)",
			ids[i], fmt.Sprint(name, i), s.community)
		if err != nil {
			return nil, err
		}
		for _, u := range of(i) {
			_, err := db.Exec(ctx, "INSERT INTO channel_membership (id, user_id, channel_id) VALUES ($1, $2, $3)", newID(), u.id, ids[i])
			if err != nil {
				return nil, err
			}
		}
	}
	return ids, nil
}

// frameSize is the length of the Socket.IO packet that the server makes of a
// message of that size.
func (s *stage) frameSize(ctx context.Context, r *rookery, size int) (int, error) {
	lengths := make(chan int, 1)
	u := s.users[len(s.users)-1]
	socket, err := client.Dial(ctx, r.addr, client.Options{Token: u.token, OnEvent: func(name string, payload json.RawMessage) {
		if name == "newMessage" {
			select {
			case lengths <- len(payload) + eventHead:
			default:
			}
		}
	}})
	if err != nil {
		return 0, err
	}
	defer socket.Close()
	if _, err := socket.SendMessage(ctx, s.general, string(message(0, size, monotonic()))); err != nil {
		return 0, err
	}
	select {
	case n := <-lengths:
		return n, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
