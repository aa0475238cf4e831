package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// messageTag makes ids of any kind.
type messageTag struct{}

// messages is a channel with one user, and a writer for it.
type messages struct {
	t       *testing.T
	db      *persistence.DB
	writer  *persistence.Writer
	owner   persistence.Owner
	user    protocol.UserID
	channel protocol.ChannelID
}

func newMessages(t *testing.T) *messages {
	t.Helper()
	m := &messages{t: t, db: pgtest.New(t), user: protocol.UserID(protocol.NewID[messageTag]()), channel: protocol.ChannelID(protocol.NewID[messageTag]())}
	m.writer = persistence.NewWriter(m.db, persistence.WriterConfig{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := m.writer.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	m.exec(`INSERT INTO app_user (id, username, password_hash) VALUES ($1, 'u', 'x')`, m.user)
	m.exec(`INSERT INTO community (id, name) VALUES ($1, 'c')`, protocol.CommunityID{1})
	m.exec(`INSERT INTO channel (id, name, community_id) VALUES ($1, 'c', $2)`, m.channel, protocol.CommunityID{1})
	m.owner = take(t, m.db, "channel", m.channel.String())
	return m
}

func (m *messages) exec(sql string, args ...any) {
	m.t.Helper()
	if _, err := m.db.Pool().Exec(m.t.Context(), sql, args...); err != nil {
		m.t.Fatal(err)
	}
}

// store waits until each row, a write of its own, is decided.
func (m *messages) store(rows ...persistence.Row) []error {
	m.t.Helper()
	errs := make([]error, len(rows))
	for i, r := range rows {
		write := persistence.Write{Owner: m.owner, Rows: []persistence.Row{r}, Done: func(err error) { errs[i] = err }}
		if err := m.writer.Enqueue(write); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := m.writer.Flush(m.t.Context(), m.owner); err != nil {
		m.t.Fatal(err)
	}
	return errs
}

func (m *messages) mustStore(rows ...persistence.Row) {
	m.t.Helper()
	if err := errors.Join(m.store(rows...)...); err != nil {
		m.t.Fatal(err)
	}
}

func (m *messages) message(seq int64, texts ...string) *protocol.Message {
	msg := &protocol.Message{
		ID: protocol.MessageID(protocol.NewID[messageTag]()), ChannelID: &m.channel, AuthorID: &m.user,
		SentAt: 1_700_000_000_000 + protocol.Instant(seq), Seq: seq, Nonce: fmt.Sprint("n", seq), PendingAttachments: new(0),
	}
	msg.Spans = newSpans(msg.ID, texts...)
	return msg
}

func newSpans(id protocol.MessageID, texts ...string) []protocol.Span {
	var list []protocol.Span
	for i, s := range texts {
		list = append(list, protocol.Span{
			ID: protocol.AnyID(protocol.NewID[messageTag]()), MessageID: id, Position: i, Type: protocol.SpanPlaintext, Text: &s,
		})
	}
	return list
}

// A transaction may run again after it was committed: the same rows twice leave
// what they leave once.
func TestMessageRowsMayRunTwice(t *testing.T) {
	t.Parallel()
	m := newMessages(t)
	kept, gone := m.message(1, "a", "b"), m.message(2, "c")
	spans := newSpans(kept.ID, "x", "y", "z")
	at := protocol.Instant(1_700_000_001_000)
	rows := []persistence.Row{
		&persistence.MessageRow{Message: kept},
		&persistence.ReceiptRow{ID: protocol.AnyID{1}, User: m.user, In: protocol.InChannel(m.channel), Message: kept.ID, Seq: 1, SentAt: at, At: at},
		&persistence.MessageRow{Message: gone},
		&persistence.ReactionRow{ID: protocol.AnyID{1}, Message: kept.ID, Emoji: "a", User: m.user, At: at},
		&persistence.ReactionRow{ID: protocol.AnyID{2}, Message: kept.ID, Emoji: "b", User: m.user, At: at},
		&persistence.EditRow{ID: kept.ID, EditedAt: at, SearchText: new("x y z"), Spans: spans},
		&persistence.UnreactedRow{Message: kept.ID, Emoji: "a", User: m.user},
		&persistence.DeletedRow{ID: gone.ID, At: at},
	}
	for range 2 {
		m.mustStore(rows[5:]...) // also of messages that are not there yet
		m.mustStore(rows...)
		got, err := m.db.LoggedMessage(t.Context(), kept.ID)
		if err != nil || got == nil {
			t.Fatal(got, err)
		}
		if len(got.Spans) != 3 || *got.Spans[2].Text != "z" || got.Spans[0].ID != spans[0].ID || *got.EditedAt != at || *got.SearchText != "x y z" || got.Nonce != "n1" {
			t.Errorf("message %+v", got)
		}
		if len(got.Choices) != 1 || got.Choices[0] != (protocol.Reacted{Emoji: "b", User: m.user}) {
			t.Errorf("reactions %v", got.Choices)
		}
		if got, err := m.db.LoggedMessage(t.Context(), gone.ID); err != nil || got != nil {
			t.Errorf("deleted: %+v %v", got, err)
		}
	}
}

func TestReceiptsNeverGoBack(t *testing.T) {
	t.Parallel()
	m := newMessages(t)
	var rows []persistence.Row
	for i, seq := range []int64{3, 7, 5, 7, 1} {
		rows = append(rows, &persistence.ReceiptRow{
			ID: protocol.AnyID(protocol.NewID[messageTag]()), User: m.user, In: protocol.InChannel(m.channel), Seq: seq,
			SentAt: protocol.Instant(seq), At: protocol.Instant(100 + i),
		})
	}
	for _, r := range rows {
		m.mustStore(r)
	}
	m.mustStore(rows...)
	var n int
	var seq int64
	if err := m.db.Pool().QueryRow(t.Context(), `SELECT count(*), max(last_read_seq) FROM read_receipt`).Scan(&n, &seq); err != nil || n != 1 || seq != 7 {
		t.Errorf("%d receipts, seq %d: %v", n, seq, err)
	}
}

func TestRefusedMessageSparesItsNeighbours(t *testing.T) {
	t.Parallel()
	m := newMessages(t)
	bad := m.message(2, "bad")
	bad.SearchText = new("bad\x00")
	rows := []persistence.Row{
		&persistence.MessageRow{Message: m.message(1, "good")},
		&persistence.MessageRow{Message: bad},
		&persistence.MessageRow{Message: m.message(2, "good")},
		&persistence.MessageRow{Message: m.message(2, "the seq is taken")},
	}
	for i, err := range m.store(rows...) {
		if (err == nil) != (i%2 == 0) {
			t.Errorf("row %d: %v", i, err)
		}
	}
	_, log, err := m.db.ChannelLog(t.Context(), m.channel, persistence.LogScope{Messages: 1, Sends: 10, Since: 1, Now: 1_700_000_000_010})
	if err != nil {
		t.Fatal(err)
	}
	if len(log.Messages) != 1 || log.Messages[0].Seq != 2 || !log.More || log.LastSeq != 2 || log.LastSentAt != 1_700_000_000_002 {
		t.Errorf("log %+v", log)
	}
	if len(log.Sends) != 2 || log.Sends[0].Nonce != "n1" || log.Sends[0].Author != m.user || len(log.LastSends) != 0 {
		t.Errorf("sends %+v, last %+v", log.Sends, log.LastSends)
	}
}

func TestChannelLogOfNoChannel(t *testing.T) {
	t.Parallel()
	m := newMessages(t)
	settings, log, err := m.db.ChannelLog(t.Context(), protocol.ChannelID{9}, persistence.LogScope{Messages: 10, Sends: 10, Now: 1})
	if err != nil || !settings.Missing || log.LastSeq != 0 || len(log.Messages) != 0 {
		t.Errorf("%+v %v", log, err)
	}
	for name, err := range map[string]error{
		"message":          second(m.db.Message(t.Context(), protocol.MessageID{9})),
		"place of message": second(m.db.PlaceOfMessage(t.Context(), protocol.MessageID{9})),
	} {
		if !errors.Is(err, protocol.NotFound("")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
