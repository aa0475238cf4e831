//go:build linux

package main

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// archiveSize is the number of messages in the channel with the long history.
const archiveSize = 1_000_000

// Messages below one of these places carry everything that a message can carry;
// pages are read from there.
const (
	richRows = 8000
	midway   = archiveSize / 2
	bottom   = richRows + 100
)

// Ids are made of numbers, so that what hangs on a message can be made without
// looking for it. All other ids are random, none of them collides.
const (
	archivedID = `('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid`

	// The search text is left empty: a page does not show the difference, and
	// indexing a million texts takes minutes.
	insertArchive = `
		INSERT INTO message (id, channel_id, seq, author_id, sent_at, pending_attachments)
		SELECT ` + archivedID + `, $1, n, $2, now() - make_interval(secs => $4 - n), 0 FROM generate_series($3::bigint, $4::bigint) n`

	insertSpans = `
		UPDATE message SET spans = (
			SELECT ('[' || string_agg('{"id":"' || gen_random_uuid() || '","messageId":"' || message.id || '","position":' || p || ',"type":"'
				|| CASE p WHEN 0 THEN 'PLAINTEXT' ELSE 'USER_MENTION' END || '","text":"message ' || seq
				|| ' says something of ordinary length, as people do","userId":' || CASE p WHEN 1 THEN '"' || $1::uuid || '"' ELSE 'null' END
				|| ',"specialKind":null,"communityId":null,"aliasId":null}', ',') || ']')::json
			FROM generate_series(0, 1) p)
		WHERE id IN (SELECT ` + archivedID + ` FROM generate_series($2::bigint, $3::bigint) n)`

	insertMentions = `
		INSERT INTO message_mention (message_id, user_id)
		SELECT ` + archivedID + `, $1 FROM generate_series($2::bigint, $3::bigint) n`

	insertReactions = `
		INSERT INTO message_reaction (id, message_id, emoji, user_id)
		SELECT gen_random_uuid(), ` + archivedID + `, e, u
		FROM generate_series($2::bigint, $3::bigint) n, unnest(ARRAY['👍', '🎉']) e, unnest($1::uuid[]) u`

	insertFiles = `
		INSERT INTO file (id, filename, mime_type, file_type, size, checksum, resource_type, storage_path)
		SELECT ` + archivedID + `, 'picture.png', 'image/png', 'IMAGE', 12345, 'none', 'MESSAGE_ATTACHMENT', 'none'
		FROM generate_series($1::bigint, $2::bigint) n`

	insertAttachments = `
		INSERT INTO message_attachment (id, message_id, file_id)
		SELECT gen_random_uuid(), ` + archivedID + `, ` + archivedID + ` FROM generate_series($1::bigint, $2::bigint) n`
)

// fill writes the long history. The server must not know the channel yet.
func (s *stage) fill(ctx context.Context) error {
	if s.archived {
		return nil
	}
	began := time.Now()
	url, err := s.databaseURL(ctx)
	if err != nil {
		return err
	}
	// Two sessions, for two processors.
	const part = archiveSize / 2
	parts := make(chan error, 2)
	for i := range 2 {
		go func() { parts <- s.fillPart(ctx, url, i*part+1, (i+1)*part) }()
	}
	if err := errors.Join(<-parts, <-parts); err != nil {
		return err
	}
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	_, err = db.Exec(ctx, "VACUUM ANALYZE message, message_mention, message_reaction, message_attachment, file")
	s.archived = err == nil
	progress("history: %d messages, %.1f s", archiveSize, time.Since(began).Seconds())
	return err
}

func (s *stage) fillPart(ctx context.Context, url string, from, to int) error {
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	if _, err := db.Exec(ctx, "SET synchronous_commit = off"); err != nil {
		return err
	}
	if _, err := db.Exec(ctx, insertArchive, s.archive, s.users[0].id, from, to); err != nil {
		return err
	}
	fans := []string{s.users[1].id, s.users[2].id}
	for _, top := range []int{bottom, midway, archiveSize} {
		if top < from || top > to {
			continue
		}
		first := top - richRows - 100
		first = max(first, 1)
		for _, x := range []struct {
			sql  string
			args []any
		}{
			{insertSpans, []any{s.users[1].id, first, top}}, {insertMentions, []any{s.users[1].id, first, top}}, {insertReactions, []any{fans, first, top}},
			{insertFiles, []any{first, top}}, {insertAttachments, []any{first, top}},
		} {
			if _, err := db.Exec(ctx, x.sql, x.args...); err != nil {
				return err
			}
		}
	}
	return nil
}
