package persistence_test

import (
	"testing"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// mentionsOf counts what Postgres remembers that a message names.
func (m *messages) mentionsOf(id protocol.MessageID) (n int) {
	m.t.Helper()
	if err := m.db.Pool().QueryRow(m.t.Context(), `SELECT count(*) FROM message_mention WHERE message_id = $1`, id).Scan(&n); err != nil {
		m.t.Fatal(err)
	}
	return n
}

func (m *messages) spans(id protocol.MessageID) []protocol.Span {
	m.t.Helper()
	got, err := m.db.Message(m.t.Context(), id)
	if err != nil {
		m.t.Fatal(err)
	}
	return got.Spans
}

// A span may name any id: those that do not exist are nulled when it is stored,
// the others when what they name is deleted, and the text stays whatever it says.
func TestMentions(t *testing.T) {
	t.Parallel()
	m := newMessages(t)
	bob, group := protocol.UserID{5}, protocol.AnyID{6}
	m.exec(`INSERT INTO app_user (id, username, password_hash) VALUES ($1, 'bob', 'x')`, bob)
	m.exec(`INSERT INTO alias_group (id, name, community_id) VALUES ($1, 'g', $2)`, group, protocol.CommunityID{1})
	tricky := `"userId":"` + bob.String() + `", \"aliasId":"` + group.String() + `" <&> ä` + "\u2028"
	naming := func(msg *protocol.Message) []protocol.Span {
		msg.Spans = newSpans(msg.ID, tricky, "b", "c", "d", "e")
		msg.Spans[1].UserID, msg.Spans[2].UserID = &bob, &protocol.UserID{99}
		msg.Spans[2].CommunityID, msg.Spans[3].SpecialKind = &protocol.AnyID{98}, new("here")
		msg.Spans[3].AliasID, msg.Spans[4].AliasID, msg.Spans[4].UserID = &group, &protocol.AnyID{97}, &bob
		return msg.Spans
	}
	sent, edited, plain := m.message(1), m.message(2, "plain"), m.message(3, "plain")
	naming(sent)
	m.mustStore(&persistence.MessageRow{Message: sent}, &persistence.MessageRow{Message: edited}, &persistence.MessageRow{Message: plain})
	m.mustStore(&persistence.EditRow{ID: edited.ID, EditedAt: 1, Spans: naming(edited)})
	check := func(when string, want func(s []protocol.Span), mentions int) {
		t.Helper()
		for _, msg := range []*protocol.Message{sent, edited} {
			list := append([]protocol.Span{}, msg.Spans...)
			list[2].UserID, list[4].AliasID = nil, nil // never existed
			want(list)
			if got := m.spans(msg.ID); string(protocol.AppendSpans(nil, got)) != string(protocol.AppendSpans(nil, list)) {
				t.Errorf("%s: spans\n%s\nwant\n%s", when, protocol.AppendSpans(nil, got), protocol.AppendSpans(nil, list))
			}
			if n := m.mentionsOf(msg.ID); n != mentions {
				t.Errorf("%s: %d mentions, want %d", when, n, mentions)
			}
		}
	}
	check("stored", func([]protocol.Span) {}, 3)
	m.mustStore(&persistence.MessageRow{Message: sent}) // once more
	check("stored twice", func([]protocol.Span) {}, 3)
	m.exec(`DELETE FROM app_user WHERE id = $1`, bob)
	noBob := func(s []protocol.Span) { s[1].UserID, s[4].UserID = nil, nil }
	check("without the user", noBob, 2)
	m.exec(`DELETE FROM alias_group WHERE id = $1`, group)
	check("without the group", func(s []protocol.Span) { noBob(s); s[3].AliasID = nil }, 1)
	m.mustStore(&persistence.EditRow{ID: sent.ID, EditedAt: 2, Spans: newSpans(sent.ID, "nobody")})
	if n := m.mentionsOf(sent.ID) + m.mentionsOf(plain.ID); n != 0 {
		t.Errorf("%d mentions of messages that name nobody", n)
	}
	m.exec(`DELETE FROM community`) // groups, channels and messages at once
}

// Spans that were rows of their own move into their message.
func TestSpansMove(t *testing.T) {
	t.Parallel()
	m := &messages{t: t, db: pgtest.Empty(t)}
	sqlDB := stdlib.OpenDB(*m.db.Pool().Config().ConnConfig)
	defer func() { _ = sqlDB.Close() }()
	provider, err := goose.NewProvider(goose.DialectPostgres, sqlDB, persistence.Migrations(), goose.WithTableName("schema_migration"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	user, with, without := protocol.UserID{2}, protocol.MessageID{3}, protocol.MessageID{4}
	spans := []protocol.Span{
		{ID: protocol.AnyID{10}, MessageID: with, Type: protocol.SpanPlaintext, Text: new("tab\t \"quote\" \\ \u2028 ä <b>\x01")},
		{ID: protocol.AnyID{11}, MessageID: with, Position: 1, Type: protocol.SpanUser, UserID: &user, CommunityID: &protocol.AnyID{9}},
		{ID: protocol.AnyID{12}, MessageID: with, Position: 2, Type: protocol.SpanSpecial, SpecialKind: new("channel")},
	}
	m.exec(`INSERT INTO app_user (id, username, password_hash) VALUES ($1, 'u', 'x')`, user)
	m.exec(`INSERT INTO community (id, name) VALUES ($1, 'c')`, protocol.CommunityID{1})
	m.exec(`INSERT INTO channel (id, name, community_id) VALUES ($1, 'c', $1)`, protocol.CommunityID{1})
	m.exec(`INSERT INTO message (id, channel_id, seq) VALUES ($1, $3, 1), ($2, $3, 2)`, with, without, protocol.CommunityID{1})
	for _, s := range []int{2, 0, 1} {
		s := spans[s]
		m.exec(`INSERT INTO message_span (id, message_id, position, type, text, user_id, special_kind, community_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			s.ID, s.MessageID, s.Position, s.Type, s.Text, s.UserID, s.SpecialKind, s.CommunityID)
	}
	if err := m.db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var stored string
	if err := m.db.Pool().QueryRow(t.Context(), `SELECT spans::text FROM message WHERE id = $1`, with).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if want := string(protocol.AppendSpans(nil, spans)); stored != want {
		t.Errorf("spans\n%s\nwant\n%s", stored, want)
	}
	if list := m.spans(without); len(list) != 0 {
		t.Errorf("spans %+v of a message without", list)
	}
	if n := m.mentionsOf(with); n != 2 {
		t.Errorf("%d mentions", n)
	}
	m.exec(`DELETE FROM app_user WHERE id = $1`, user)
	if got := m.spans(with); got[1].UserID != nil || m.mentionsOf(with) != 1 {
		t.Errorf("spans %+v after the user is gone", got)
	}
}
