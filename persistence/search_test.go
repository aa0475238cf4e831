package persistence_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/persistence/fulltext"
	"github.com/rookery-chat/rookery/protocol"
)

// said is what the model knows of a message.
type said struct {
	id      protocol.MessageID
	channel protocol.ChannelID
	seq     int64
	at      protocol.Instant
	author  protocol.UserID
	text    string
	file    string
	gone    bool
}

// talk is a few channels with the model of what is said in them.
type talk struct {
	*messages
	channels []protocol.ChannelID
	users    []protocol.UserID
	all      []*said
	seq      map[protocol.ChannelID]int64
	random   *rand.Rand
}

var vocabulary = []string{"the", "theory", "other", "a", "at", "cat", "Café", "cafeteria", "東京", "京都", "東", "🎉", "x", "Straße", "über", "안녕하세요", "foo_bar"}

func newTalk(t *testing.T) *talk {
	t.Helper()
	k := &talk{messages: newMessages(t), seq: map[protocol.ChannelID]int64{}, random: rand.New(rand.NewPCG(1, 2))} //nolint:gosec // a test
	k.channels = []protocol.ChannelID{k.channel}
	k.users = []protocol.UserID{k.user}
	for i := range 3 {
		c := protocol.ChannelID(protocol.NewID[messageTag]())
		k.exec(`INSERT INTO channel (id, name, community_id) VALUES ($1, $2, $3)`, c, fmt.Sprint("c", i), protocol.CommunityID{1})
		k.channels = append(k.channels, c)
	}
	u := protocol.UserID(protocol.NewID[messageTag]())
	k.exec(`INSERT INTO app_user (id, username, password_hash) VALUES ($1, 'v', 'x')`, u)
	k.users = append(k.users, u)
	return k
}

func (k *talk) words() string {
	var list []string
	for range 1 + k.random.IntN(4) {
		list = append(list, vocabulary[min(k.random.IntN(len(vocabulary)), k.random.IntN(len(vocabulary)))])
	}
	return strings.ToLower(strings.Join(list, " "))
}

// say stores n messages all over the channels.
func (k *talk) say(n int) {
	var ids []protocol.MessageID
	var channels []protocol.ChannelID
	var seqs []int64
	var ats []protocol.Instant
	var authors []protocol.UserID
	var texts []string
	for range n {
		c := k.channels[min(k.random.IntN(len(k.channels)), k.random.IntN(len(k.channels)))]
		k.seq[c]++
		m := &said{
			id: protocol.MessageID(protocol.NewID[messageTag]()), channel: c, seq: k.seq[c], author: k.users[k.random.IntN(2)], text: k.words(),
			at: protocol.Instant(1_700_000_000_000 + len(k.all)),
		}
		k.all = append(k.all, m)
		ids, channels, seqs = append(ids, m.id), append(channels, c), append(seqs, m.seq)
		ats, authors, texts = append(ats, m.at), append(authors, m.author), append(texts, m.text)
	}
	k.exec(`INSERT INTO message (id, channel_id, seq, sent_at, author_id, search_text)
		SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::uuid[], $6::text[])`, ids, channels, seqs, ats, authors, texts)
}

func (k *talk) some() *said { return k.all[k.random.IntN(len(k.all))] }

func (k *talk) edit(m *said) {
	m.text = k.words()
	k.exec(`UPDATE message SET search_text = $2 WHERE id = $1`, m.id, m.text)
}

func (k *talk) remove(m *said) {
	if m.gone = true; k.random.IntN(2) == 0 {
		k.exec(`UPDATE message SET deleted_at = now() WHERE id = $1`, m.id)
		return
	}
	k.mustStore(&persistence.DeletedRow{ID: m.id, At: m.at})
}

func (k *talk) attach(m *said) {
	if m.file != "" || m.gone {
		return
	}
	m.file = []string{"IMAGE", "VIDEO"}[k.random.IntN(2)]
	file := protocol.FileID(protocol.NewID[messageTag]())
	k.exec(`INSERT INTO file (id, filename, mime_type, file_type, size, checksum, uploaded_by, resource_type, storage_path)
		VALUES ($1, 'f', 'f/f', $2, 1, '', $3, 'MESSAGE_ATTACHMENT', 'p')`, file, m.file, m.author)
	k.mustStore(&persistence.AttachedRow{ID: protocol.AnyID(protocol.NewID[messageTag]()), Message: m.id, File: file})
}

// want is what a search has to find, by looking at everything.
func (k *talk) want(q persistence.MessageSearch) []protocol.MessageID {
	parsed := fulltext.Parse(q.Query)
	type scored struct {
		*said
		match fulltext.Match
	}
	var list []scored
	for _, m := range k.all {
		match := parsed.Match(fulltext.Fold(m.text))
		switch {
		case m.gone, match == fulltext.None, !slices.Contains(q.Channels, m.channel),
			!q.Author.IsZero() && m.author != q.Author, q.FileType != "" && m.file != q.FileType,
			q.HasAttachment != nil && *q.HasAttachment != (m.file != ""),
			q.After != 0 && m.at <= q.After, q.Before != 0 && m.at >= q.Before:
			continue
		}
		list = append(list, scored{m, match})
	}
	slices.SortFunc(list, func(a, b scored) int { return cmp.Or(cmp.Compare(b.match, a.match), cmp.Compare(b.at, a.at)) })
	var ids []protocol.MessageID
	for _, m := range list[min(len(list), q.Offset):min(len(list), q.Offset+q.Limit)] {
		ids = append(ids, m.id)
	}
	return ids
}

func (k *talk) check(q persistence.MessageSearch) {
	k.t.Helper()
	found, err := k.db.SearchMessages(k.t.Context(), q)
	if err != nil {
		k.t.Fatalf("%+v: %v", q, err)
	}
	var ids []protocol.MessageID
	for _, m := range found {
		ids = append(ids, m.ID)
	}
	if want := k.want(q); !slices.Equal(ids, want) {
		k.t.Fatalf("%+v: found %d %v, not %d %v", q, len(ids), ids, len(want), want)
	}
}

// any is a search for anything anywhere.
func (k *talk) any() persistence.MessageSearch {
	q := persistence.MessageSearch{Query: k.words(), Limit: 1 + k.random.IntN(30), Channels: k.channels}
	if r := []rune(q.Query); k.random.IntN(2) == 0 {
		q.Query = string(r[k.random.IntN(len(r)):])
	}
	one := func() bool { return k.random.IntN(6) == 0 }
	if one() {
		q.Channels = k.channels[1:2]
	}
	if one() {
		q.Author = k.users[1]
	}
	if one() {
		q.FileType = "IMAGE"
	}
	if one() {
		q.HasAttachment = new(k.random.IntN(2) == 0)
	}
	if one() {
		q.Offset = k.random.IntN(50)
	}
	if one() {
		q.After = k.some().at
	}
	if one() {
		q.Before = k.some().at
	}
	return q
}

func (k *talk) index() {
	for more := true; more; {
		var err error
		if more, err = k.db.IndexLagging(k.t.Context(), protocol.InstantOf(time.Now())); err != nil {
			k.t.Fatal(err)
		}
	}
}

// TestSearchFindsWhatThereIs compares searches with a look at everything, while messages come,
// change and go, and the index is behind, at it and made again.
func TestSearchFindsWhatThereIs(t *testing.T) {
	t.Parallel()
	k := newTalk(t)
	for round := range 25 {
		k.say(1 + k.random.IntN(150))
		for range 12 {
			k.edit(k.some())
			k.attach(k.some())
			if m := k.some(); !m.gone {
				k.remove(m)
			}
		}
		for range 12 {
			k.check(k.any())
		}
		if round%3 == 0 {
			k.index()
		}
		for range 12 {
			k.check(k.any())
		}
	}
	k.check(persistence.MessageSearch{Query: "the", Channels: k.channels, Limit: 100, Offset: 300})
	k.check(persistence.MessageSearch{Query: "nowhere", Channels: k.channels, Limit: 10})
	k.check(persistence.MessageSearch{Query: "the", Limit: 10})
}

// TestSearchGoesOnBeyondOneSegment: what is common and what is rare, in a long channel.
func TestSearchGoesOnBeyondOneSegment(t *testing.T) {
	t.Parallel()
	k := newTalk(t)
	k.say(3)
	needle := k.all[0]
	k.exec(`UPDATE message SET search_text = 'needle in the hay' WHERE id = $1`, needle.id)
	needle.text = "needle in the hay"
	k.say(12_000)
	k.index()
	for _, query := range []string{"needle", "needle hay", "eedl", "the", "t", "th", "東", "安", "nothing"} {
		for _, offset := range []int{0, 900} {
			k.check(persistence.MessageSearch{Query: query, Channels: k.channels, Limit: 50, Offset: offset})
		}
	}
	var segments int
	if err := k.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM search_segment`).Scan(&segments); err != nil || segments < 4 {
		t.Errorf("%d segments, %v", segments, err)
	}
}

// TestSearchInGroup: direct messages, in the index and not.
func TestSearchInGroup(t *testing.T) {
	t.Parallel()
	m := newMessages(t)
	group := protocol.GroupID(protocol.NewID[messageTag]())
	m.exec(`INSERT INTO direct_message_group (id, is_group) VALUES ($1, true)`, group)
	m.exec(`INSERT INTO message (id, direct_message_group_id, seq, sent_at, search_text)
		SELECT gen_random_uuid(), $1, n, now() + make_interval(secs => n), 'whisper ' || n FROM generate_series(1, 300) AS n`, group)
	for _, when := range []string{"not indexed", "indexed"} {
		for query, want := range map[string]int{"whisper": 100, "whisper 7": 1 + 10, "shout": 0} {
			found, err := m.db.SearchMessages(t.Context(), persistence.MessageSearch{Query: query, Group: group, Limit: 100})
			if err != nil || len(found) != want {
				t.Errorf("%s: %q finds %d, not %d: %v", when, query, len(found), want, err)
			}
			if want > 0 && (found[0].DirectMessageGroupID == nil || *found[0].DirectMessageGroupID != group) {
				t.Errorf("%s: %q finds %+v", when, query, found[0])
			}
		}
		elsewhere, err := m.db.SearchMessages(t.Context(), persistence.MessageSearch{Query: "whisper", Channels: []protocol.ChannelID{m.channel}, Limit: 10})
		if err != nil || len(elsewhere) != 0 {
			t.Errorf("%s: a channel has %d messages of a group: %v", when, len(elsewhere), err)
		}
		for more := true; more; {
			if more, err = m.db.IndexLagging(t.Context(), protocol.InstantOf(time.Now())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestDeletedMessageLeavesTheIndex: within the hour nothing of what it said is left.
func TestDeletedMessageLeavesTheIndex(t *testing.T) {
	t.Parallel()
	k := newTalk(t)
	k.say(1500)
	deleted, removed := k.all[0], k.all[1]
	k.exec(`UPDATE message SET search_text = CASE id WHEN $1 THEN 'zyzzyva' ELSE 'quixotry' END WHERE id = ANY ($2)`,
		deleted.id, []protocol.MessageID{deleted.id, removed.id})
	k.index()
	indexed := func(word string) bool {
		part, _ := fulltext.Parse(word).Terms()
		rows, err := k.db.Pool().Query(t.Context(), `SELECT h.data, h.shard, s.shards FROM search_shard h JOIN search_segment s USING (context_id, first_seq)`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var data []byte
			var shard, shards int
			if err := rows.Scan(&data, &shard, &shards); err != nil {
				t.Fatal(err)
			}
			if fulltext.ShardOf(part[0], shards) != shard {
				continue
			}
			if found, err := fulltext.Find(data, part[0]); err != nil || !found.Empty() {
				return true
			}
		}
		return false
	}
	if !indexed("zyzzyva") || !indexed("quixotry") {
		t.Fatal("the test can't see the index")
	}
	k.mustStore(&persistence.DeletedRow{ID: deleted.id, At: 1}, &persistence.RemovedRow{ID: removed.id, At: 1, By: k.user})
	for more := true; more; {
		var err error
		if more, err = k.db.IndexLagging(t.Context(), protocol.InstantOf(time.Now().Add(2*time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	if indexed("zyzzyva") || indexed("quixotry") {
		t.Error("the index still knows what was said")
	}
}

// TestSearchFindsReplies: as long as there is what they reply to.
func TestSearchFindsReplies(t *testing.T) {
	t.Parallel()
	m := newMessages(t)
	parent, reply := m.message(1, "question"), m.message(2, "answer")
	parent.SearchText, reply.SearchText = new("question"), new("answer to a question")
	m.mustStore(&persistence.MessageRow{Message: parent}, &persistence.MessageRow{Message: reply})
	m.exec(`UPDATE message SET parent_message_id = $2 WHERE id = $1`, reply.ID, parent.ID)
	find := func() []protocol.Message {
		t.Helper()
		found, err := m.db.SearchMessages(t.Context(), persistence.MessageSearch{Query: "question", Channels: []protocol.ChannelID{m.channel}, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := find(); len(found) != 2 || found[0].ID != reply.ID || found[0].ParentMessageID == nil || *found[0].ParentMessageID != parent.ID {
		t.Errorf("found %+v", found)
	}
	m.mustStore(&persistence.RemovedRow{ID: parent.ID, At: 1, By: m.user})
	if found := find(); len(found) != 0 {
		t.Errorf("without a parent: found %+v", found)
	}
}

// TestIndexerFollowsTheWriter: what is stored gets into the index by itself.
func TestIndexerFollowsTheWriter(t *testing.T) {
	t.Parallel()
	m := newMessages(t)
	indexer := persistence.StartSearchIndexer(m.db, m.writer)
	t.Cleanup(indexer.Stop)
	var rows []persistence.Row
	for seq := range int64(200) {
		msg := m.message(seq+1, "hello")
		msg.SearchText = new("hello")
		rows = append(rows, &persistence.MessageRow{Message: msg})
	}
	m.mustStore(rows...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		var indexed int64
		err := m.db.Pool().QueryRow(ctx, `SELECT coalesce(max(indexed_seq), 0) FROM search_state`).Scan(&indexed)
		if err != nil {
			t.Fatal(err)
		}
		if indexed >= 200-64 {
			return
		}
	}
}

// TestSearchIsSwept: nothing of the index stays of a channel that is gone.
func TestSearchIsSwept(t *testing.T) {
	t.Parallel()
	k := newTalk(t)
	k.say(500)
	k.index()
	k.edit(k.all[0])
	k.exec(`DELETE FROM message`)
	k.exec(`DELETE FROM channel`)
	for more := true; more; {
		var err error
		if more, err = k.db.SweepSearch(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
	}
	var left int
	err := k.db.Pool().QueryRow(t.Context(), `SELECT (SELECT count(*) FROM search_state) + (SELECT count(*) FROM search_segment)
		+ (SELECT count(*) FROM search_shard) + (SELECT count(*) FROM search_changed)`).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d rows are left, %v", left, err)
	}
}
