package persistence

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rookery-chat/rookery/protocol"
)

// StoredPage is a page of a channel's history as clients get it.
type StoredPage struct {
	Text json.RawMessage // a protocol.MessagePage
	// Low and High are the least and the greatest seq on which Text depends, that of
	// the row which only shows that there is more included; 0 on an empty page.
	Low, High int64
	More      bool // it has a continuation token
}

// Settled reports whether only changes of messages from Low to High can change
// the page: new messages can't, and none will come between.
func (p *StoredPage) Settled(g protocol.PageGrant) bool {
	return p.High > 0 && g.Cursor != 0 && (p.More || !g.Newer)
}

// MessagePage reads the page that the owner of the place has granted, in one statement. What
// Postgres has in the form of the contract goes through as it is.
func (db *DB) MessagePage(ctx context.Context, in protocol.Place, g protocol.PageGrant) (*StoredPage, error) {
	sql, args := pageQuery(in, g)
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list messages of %s: %w", in, err))
	}
	page, err := collectPage(rows, in, g)
	if err != nil {
		return nil, oneLine(fmt.Errorf("list messages of %s: %w", in, err))
	}
	return page, nil
}

// pageQuery asks for one row more than the page has, to know whether it is the
// last one.
func pageQuery(in protocol.Place, g protocol.PageGrant) (string, []any) {
	q, id, limit := logOf(in), in.ID(), g.Limit+1
	switch {
	case !g.After.IsZero() && g.Newer:
		return q.after, []any{id, limit, g.After}
	case !g.After.IsZero():
		return q.before, []any{id, limit, g.After}
	case g.Newer && g.Cursor == 0:
		return q.first, []any{id, limit}
	case g.Newer:
		return q.newer, []any{id, limit, g.Cursor}
	case g.Cursor == 0:
		return q.recent, []any{id, limit}
	default:
		return q.older, []any{id, limit, g.Cursor}
	}
}

// collectPage puts the rows into the order of a page of history, newest first.
func collectPage(rows pgx.Rows, in protocol.Place, g protocol.PageGrant) (*StoredPage, error) {
	return collectRows(rows, "messages", in, g.Limit, g.Newer)
}

// collectRows writes the rows one behind the other, or in reverse order, as a
// page.
func collectRows(rows pgx.Rows, list string, in protocol.Place, limit int, reverse bool) (*StoredPage, error) {
	defer rows.Close()
	page := &StoredPage{}
	var r messageScan
	texts := make([]byte, 0, 1024*limit)
	ends := make([]int, 0, limit)
	fields := r.fields()
	last := int64(0)
	for rows.Next() {
		if err := rows.Scan(fields...); err != nil {
			return nil, err
		}
		if page.Low == 0 {
			page.Low, page.High = r.m.Seq, r.m.Seq
		}
		page.Low, page.High = min(page.Low, r.m.Seq), max(page.High, r.m.Seq)
		if page.More = len(ends) == limit; !page.More {
			texts = r.appendJSON(texts)
			ends, last = append(ends, len(texts)), r.m.Seq
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, len(texts)+len(ends)+128), `{"`...)
	b = append(append(b, list...), `":[`...)
	for i := range ends {
		if i > 0 {
			b = append(b, ',')
		}
		n := i
		if reverse {
			n = len(ends) - 1 - i
		}
		from := 0
		if n > 0 {
			from = ends[n-1]
		}
		b = append(b, texts[from:ends[n]]...)
	}
	b = append(b, ']')
	if page.More {
		b = append(b, `,"continuationToken":"`...)
		b = append(b, protocol.Cursor{In: in, Seq: last}.Token()...)
		b = append(b, '"')
	}
	b = append(b, '}')
	page.Text = b
	return page, nil
}

// messageScan is one row of messageColumns. spans and attachments are JSON in
// the form of the contract, the latter without its brackets, and valid until the
// next row is read.
type messageScan struct {
	m                  protocol.Message
	spans, attachments pgtype.DriverBytes
	emoji              []string
	users              []protocol.UserID
	choices            []protocol.Reacted
}

// fields are where the columns go, in their order.
func (r *messageScan) fields() []any {
	m := &r.m
	return []any{&m.ID, &m.ChannelID, &m.DirectMessageGroupID, &m.AuthorID, &m.SentAt, &m.EditedAt, &m.DeletedAt,
		&m.PendingAttachments, &m.SearchText, &m.Pinned, &m.PinnedAt, &m.PinnedBy, &m.DeletedBy, &m.DeletedByReason,
		&m.ParentMessageID, &m.ReplyCount, &m.LastReplyAt, &m.Seq, &m.Nonce, &r.spans, &r.emoji, &r.users, &r.attachments}
}

// reacted are the choices in the order in which they were made.
func (r *messageScan) reacted(into []protocol.Reacted) []protocol.Reacted {
	for i := range min(len(r.emoji), len(r.users)) {
		into = append(into, protocol.Reacted{Emoji: r.emoji[i], User: r.users[i]})
	}
	return into
}

func (r *messageScan) appendJSON(b []byte) []byte {
	b = r.m.AppendHead(b)
	b = append(append(b, `,"spans":`...), r.spans...)
	r.choices = r.reacted(r.choices[:0])
	b = protocol.AppendReactions(append(b, `,"reactions":`...), protocol.GroupReactions(r.choices))
	b = append(append(b, `,"attachments":[`...), r.attachments...)
	return append(b, ']', '}')
}

// message is the row as values.
func (r *messageScan) message() (LoggedMessage, error) {
	m := LoggedMessage{Message: r.m, Choices: r.reacted(nil)}
	m.Spans, m.Attachments = []protocol.Span{}, []protocol.Attachment{}
	if err := json.Unmarshal(r.spans, &m.Spans); err != nil {
		return m, fmt.Errorf("read spans of message %s: %w", m.ID, err)
	}
	if len(r.attachments) > 0 {
		list := append(append([]byte{'['}, r.attachments...), ']')
		if err := json.Unmarshal(list, &m.Attachments); err != nil {
			return m, fmt.Errorf("read attachments of message %s: %w", m.ID, err)
		}
	}
	m.Reactions = protocol.GroupReactions(m.Choices)
	return m, nil
}

func scanMessage(row pgx.CollectableRow) (LoggedMessage, error) {
	var r messageScan
	if err := row.Scan(r.fields()...); err != nil {
		return LoggedMessage{}, err
	}
	return r.message()
}
