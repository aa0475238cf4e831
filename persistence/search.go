package persistence

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rookery-chat/rookery/persistence/fulltext"
	"github.com/rookery-chat/rookery/protocol"
)

// Bounds of a search. Each is far beyond what a search needs that the index helps.
const (
	maxSearches     = 4 // at once, of a node
	searchTimeout   = 3 * time.Second
	searchPatience  = 1500 * time.Millisecond // then what was found so far has to do
	maxSearchTail   = 65_536                  // messages looked at that are not in the index
	minSearchTail   = 1024                    // of them, of each context
	maxSearchLooks  = 30_000                  // messages looked at because the index names them
	searchLook      = 128                     // of a segment, in one go
	searchSegments  = 64                      // whose terms are read in one go
	maxSearchChange = 20_000
)

const codeCanceled = "57014" // by statement_timeout

var (
	errSearches   = protocol.Unavailable("Too many searches at once, please retry")
	errSlowSearch = protocol.Unavailable("The search took too long, please narrow it")
)

// MessageSearch is what is looked for, and where.
type MessageSearch struct {
	Query    string
	Channels []protocol.ChannelID // those that the searcher may read ...
	Group    protocol.GroupID     // ... or this group

	Author        protocol.UserID // zero: anybody
	HasAttachment *bool           // nil: either
	FileType      string          // of one of the attachments; empty: any
	After, Before protocol.Instant
	Limit, Offset int
}

// SearchMessages finds messages, the best first and of those the newest. It sees everything that
// was committed before it began.
func (db *DB) SearchMessages(ctx context.Context, q MessageSearch) ([]protocol.Message, error) {
	parsed := fulltext.Parse(q.Query)
	contexts := searchContexts(q.Channels)
	if !q.Group.IsZero() {
		contexts = []protocol.AnyID{protocol.AnyID(q.Group)}
	}
	if parsed.Empty() || len(contexts) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, searchTimeout+time.Second)
	defer cancel()
	select {
	case db.searches <- struct{}{}:
	case <-ctx.Done():
		return nil, errSearches
	}
	defer func() { <-db.searches }()

	s := newSearch(q, parsed, contexts)
	var found []protocol.Message
	// One snapshot: segments may be made one while they are read.
	opts := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, db.pool, opts, func(tx pgx.Tx) (err error) {
		s.tx = tx
		if err := s.open(ctx); err != nil {
			return err
		}
		for len(s.segments) > 0 && s.goesOn() {
			n := min(len(s.segments), searchSegments)
			batch := s.segments[:n]
			s.segments = s.segments[n:]
			if err := s.walk(ctx, batch); err != nil {
				return err
			}
		}
		found, err = s.messages(ctx)
		return err
	})
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && pe.Code == codeCanceled {
		return nil, errSlowSearch
	}
	if err != nil {
		return nil, oneLine(fmt.Errorf("search messages: %w", err))
	}
	return found, nil
}

// search is one that is under way.
type search struct {
	tx       pgx.Tx
	q        MessageSearch
	query    fulltext.Query
	contexts []protocol.AnyID
	sql      searchStatements
	filters  []any // the arguments of searchFilters

	part, whole []fulltext.Term
	want        int
	began       time.Time
	looks       int

	segments []segment
	hits     [fulltext.Whole + 1][]hit // by how well they match, the newest first
	seen     map[place16]struct{}
}

// place16 is where a message is.
type place16 struct {
	context protocol.AnyID
	seq     int64
}

type hit struct {
	place16
	id protocol.MessageID
	at protocol.Instant
}

// segment is a part of the index, as far as it is known.
type segment struct {
	context protocol.AnyID
	first   int64
	shards  int
	newest  protocol.Instant
	// What is still to be looked at: what may match as a whole, and what can only in part.
	whole, part rest
}

// rest is what is left of the messages of a segment.
type rest struct {
	fulltext.Set
	until protocol.Instant // none of them is newer
}

func newSearch(q MessageSearch, parsed fulltext.Query, contexts []protocol.AnyID) *search {
	s := &search{
		q: q, query: parsed, contexts: contexts, want: q.Offset + q.Limit, began: time.Now(), seen: map[place16]struct{}{},
		sql: searchStatements{searchTailChannel, searchChangedChannel, searchLookChannel},
	}
	if !q.Group.IsZero() {
		s.sql = searchStatements{searchTailGroup, searchChangedGroup, searchLookGroup}
	}
	var fileType *string
	if q.FileType != "" {
		fileType = &q.FileType
	}
	s.filters = []any{q.Author, q.After.Ptr(), q.Before.Ptr(), q.HasAttachment, fileType}
	s.part, s.whole = parsed.Terms()
	if !q.Author.IsZero() {
		s.part = append(s.part, authorTerm(q.Author))
	}
	if q.FileType != "" || q.HasAttachment != nil && *q.HasAttachment {
		s.part = append(s.part, fileTerm(q.FileType))
	}
	return s
}

// open looks at what is not in the index and at what has changed since it was, and reads which
// segments there are.
func (s *search) open(ctx context.Context) error {
	unindexed := func(rows pgx.Rows) error { return s.collect(rows, nil) }
	b := &pgx.Batch{}
	b.Queue(limitSearch, fmt.Sprint(searchTimeout.Milliseconds()))
	each := max(minSearchTail, maxSearchTail/len(s.contexts))
	b.Queue(s.sql.tail, append(slices.Clone(s.filters), s.contexts, each, 2*maxSearchTail)...).Query(unindexed)
	b.Queue(s.sql.changed, append(slices.Clone(s.filters), s.contexts, maxSearchChange)...).Query(unindexed)
	b.Queue(selectSearchSegments, s.contexts, s.q.After.Ptr(), s.q.Before.Ptr()).Query(func(rows pgx.Rows) (err error) {
		s.segments, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (g segment, err error) {
			err = row.Scan(&g.context, &g.first, &g.shards, &g.newest)
			g.whole.until, g.part.until = g.newest, g.newest
			return g, err
		})
		return err
	})
	return s.tx.SendBatch(ctx, b).Close()
}

// collect keeps the rows that match. from tells of what each is one; what is left of that is
// older.
func (s *search) collect(rows pgx.Rows, from map[place16]*rest) error {
	var h hit
	var text string
	_, err := pgx.ForEachRow(rows, []any{&h.context, &h.seq, &h.id, &h.at, &text}, func() error {
		if r := from[h.place16]; r != nil {
			r.until = min(r.until, h.at)
		}
		if _, again := s.seen[h.place16]; again {
			return nil
		}
		if m := s.query.Match(fulltext.Fold(text)); m != fulltext.None {
			s.seen[h.place16] = struct{}{}
			s.hits[m] = append(s.hits[m], h)
		}
		return nil
	})
	for m := range s.hits {
		slices.SortFunc(s.hits[m], newest)
		if len(s.hits[m]) > s.want {
			for _, h := range s.hits[m][s.want:] {
				delete(s.seen, h.place16)
			}
			s.hits[m] = s.hits[m][:s.want]
		}
	}
	return err
}

func newest(a, b hit) int {
	return cmp.Or(cmp.Compare(b.at, a.at), bytes.Compare(a.context[:], b.context[:]), cmp.Compare(b.seq, a.seq))
}

// needs reports whether a match of that kind may be among what is asked for, though it is not
// newer than at.
func (s *search) needs(m fulltext.Match, at protocol.Instant) bool {
	if m < fulltext.Whole && !s.needs(fulltext.Whole, at) && len(s.hits[fulltext.Whole]) >= s.want {
		return false
	}
	list := s.hits[m]
	return len(list) < s.want || list[s.want-1].at <= at
}

func (s *search) goesOn() bool {
	return s.needs(fulltext.Whole, s.segments[0].newest) && s.looks < maxSearchLooks && time.Since(s.began) < searchPatience
}

// walk goes through segments, from their newest messages on.
func (s *search) walk(ctx context.Context, batch []segment) error {
	parts := make([]bool, len(batch))
	for i := range batch {
		parts[i] = s.needs(fulltext.Part, batch[i].newest)
	}
	if err := s.candidates(ctx, batch, parts); err != nil {
		return err
	}
	for {
		looks := looks{from: map[place16]*rest{}}
		for i := range batch {
			s.next(&looks, &batch[i], &batch[i].whole, fulltext.Whole)
			s.next(&looks, &batch[i], &batch[i].part, fulltext.Part)
		}
		if len(looks.seqs) == 0 || s.looks >= maxSearchLooks || time.Since(s.began) > searchPatience {
			return nil
		}
		s.looks += len(looks.seqs)
		rows, err := s.tx.Query(ctx, s.sql.look, append(slices.Clone(s.filters), looks.contexts, looks.seqs)...)
		if err != nil {
			return err
		}
		if err := s.collect(rows, looks.from); err != nil {
			return err
		}
	}
}

// looks are messages to be looked at.
type looks struct {
	contexts []protocol.AnyID
	seqs     []int64
	from     map[place16]*rest
}

// next takes some of what a segment has left.
func (s *search) next(l *looks, g *segment, left *rest, m fulltext.Match) {
	if !s.needs(m, left.until) {
		left.Set = fulltext.Set{}
		return
	}
	for range min(searchLook, s.want+8) {
		n := left.Pop()
		if n < 0 {
			return
		}
		at := place16{g.context, g.first + int64(n)}
		l.contexts, l.seqs = append(l.contexts, at.context), append(l.seqs, at.seq)
		l.from[at] = left
	}
}

// candidates asks the index which messages of the segments may match.
func (s *search) candidates(ctx context.Context, batch []segment, parts []bool) error {
	type key struct{ segment, shard int }
	wanted := map[key]struct{}{}
	var contexts []protocol.AnyID
	var firsts []int64
	var shards []int32
	index := map[place16]int{}
	for i, g := range batch {
		index[place16{g.context, g.first}] = i
		for _, terms := range [][]fulltext.Term{s.part, s.whole} {
			for _, t := range terms {
				k := key{i, fulltext.ShardOf(t, g.shards)}
				if _, again := wanted[k]; again {
					continue
				}
				wanted[k] = struct{}{}
				contexts, firsts, shards = append(contexts, g.context), append(firsts, g.first), append(shards, int32(k.shard))
			}
		}
	}
	rows, err := s.tx.Query(ctx, selectSearchShards, contexts, firsts, shards)
	if err != nil {
		return err
	}
	for i := range batch {
		batch[i].whole.Fill()
		batch[i].part.Fill()
	}
	missing := wanted // shards that are not there have no terms
	var at place16
	var shard int
	var data []byte
	_, err = pgx.ForEachRow(rows, []any{&at.context, &at.seq, &shard, &data}, func() error {
		i := index[at]
		delete(missing, key{i, shard})
		return s.narrow(&batch[i], shard, data)
	})
	if err != nil {
		return err
	}
	for k := range missing {
		if err := s.narrow(&batch[k.segment], k.shard, []byte{0}); err != nil {
			return err
		}
	}
	for i := range batch {
		g := &batch[i]
		if len(s.whole) == 0 { // nothing tells them apart
			g.part.Set = fulltext.Set{}
			continue
		}
		g.part.AndNot(&g.whole.Set)
		if !parts[i] {
			g.part.Set = fulltext.Set{}
		}
	}
	return nil
}

// narrow takes out of a segment what does not have the terms of a shard.
func (s *search) narrow(g *segment, shard int, data []byte) error {
	for _, t := range s.part {
		if fulltext.ShardOf(t, g.shards) != shard {
			continue
		}
		has, err := fulltext.Find(data, t)
		if err != nil {
			return err
		}
		g.whole.And(&has)
		g.part.And(&has)
	}
	for _, t := range s.whole {
		if fulltext.ShardOf(t, g.shards) != shard {
			continue
		}
		has, err := fulltext.Find(data, t)
		if err != nil {
			return err
		}
		g.whole.And(&has)
	}
	return nil
}

// messages reads what was found, as clients get it.
func (s *search) messages(ctx context.Context) ([]protocol.Message, error) {
	list := slices.Concat(s.hits[fulltext.Whole], s.hits[fulltext.Part])
	list = list[min(len(list), s.q.Offset):min(len(list), s.want)]
	if len(list) == 0 {
		return nil, nil
	}
	ids := make([]protocol.MessageID, len(list))
	place := make(map[protocol.MessageID]int, len(list))
	for i, h := range list {
		ids[i], place[h.id] = h.id, i
	}
	rows, err := s.tx.Query(ctx, selectFound, ids)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, scanMessage)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b LoggedMessage) int { return cmp.Compare(place[a.ID], place[b.ID]) })
	messages := make([]protocol.Message, len(found))
	for i := range found {
		messages[i] = found[i].Message
	}
	return messages, nil
}
