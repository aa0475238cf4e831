package persistence

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/persistence/fulltext"
	"github.com/rookery-chat/rookery/protocol"
)

const (
	// searchTail is how many messages of a context are not worth a segment: a search looks at so
	// few as they are.
	searchTail = 64
	// searchStale is how many messages of a segment may have changed before it is made again at
	// once; fewer wait an hour.
	searchStale = 32
	// searchAbsorb is how much larger a segment may be than those that come after it, to be made
	// one with them: a message is indexed a few times, and a context has few segments.
	searchAbsorb = 2
)

var (
	insertSearchState = query(`INSERT INTO search_state (context_id) VALUES ($1) ON CONFLICT DO NOTHING`)

	// Whoever does not get it leaves it to the one who has it.
	lockSearchState = query(`SELECT indexed_seq FROM search_state WHERE context_id = $1 FOR UPDATE SKIP LOCKED`)

	updateSearchState = query(`UPDATE search_state SET indexed_seq = $2 WHERE context_id = $1`)

	selectContextTip = query(`SELECT coalesce(greatest(
		(SELECT max(seq) FROM message WHERE channel_id = $1),
		(SELECT max(seq) FROM message WHERE direct_message_group_id = $1)), 0)`)

	selectLastSegments = query(`SELECT first_seq FROM search_segment WHERE context_id = $1 ORDER BY first_seq DESC LIMIT 32`)

	// First what has changed, then, in a newer snapshot, what there is: who changes a message
	// meanwhile is either seen or notes it again.
	deleteSearchChanged = query(`DELETE FROM search_changed WHERE context_id = $1 AND seq BETWEEN $2 AND $3`)

	deleteSearchSegments = query(`DELETE FROM search_segment WHERE context_id = $1 AND first_seq BETWEEN $2 AND $3`)

	deleteSearchShards = query(`DELETE FROM search_shard WHERE context_id = $1 AND first_seq BETWEEN $2 AND $3`)

	selectSearchTexts = query(`
		SELECT m.seq, m.sent_at, m.author_id, CASE WHEN m.deleted_at IS NULL THEN coalesce(m.search_text, '') ELSE '' END,
			(SELECT array_agg(f.file_type) FROM message_attachment a JOIN file f ON f.id = a.file_id WHERE a.message_id = m.id)
		FROM (
			SELECT * FROM message WHERE channel_id = $1 AND seq BETWEEN $2 AND $3
			UNION ALL SELECT * FROM message WHERE direct_message_group_id = $1 AND seq BETWEEN $2 AND $3
		) AS m`)

	insertSearchSegment = query(`
		INSERT INTO search_segment (context_id, first_seq, last_seq, oldest_at, newest_at, shards) VALUES ($1, $2, $3, $4, $5, $6)`)

	insertSearchShards = query(`
		INSERT INTO search_shard (context_id, first_seq, shard, data)
		SELECT $1, $2, n - 1, data FROM unnest($3::bytea[]) WITH ORDINALITY AS list (data, n)`)

	selectSearchLag = query(`
		SELECT context.id FROM (
			SELECT id, (SELECT max(seq) FROM message WHERE channel_id = channel.id) AS seq FROM channel WHERE deleted_at IS NULL
			UNION ALL
			SELECT id, (SELECT max(seq) FROM message WHERE direct_message_group_id = direct_message_group.id) FROM direct_message_group
		) AS context LEFT JOIN search_state s ON s.context_id = context.id
		WHERE context.seq - coalesce(s.indexed_seq, 0) >= $1 LIMIT $2`)

	selectSearchStale = query(`
		SELECT c.context_id, s.first_seq FROM search_changed c JOIN LATERAL (
			SELECT first_seq, last_seq FROM search_segment WHERE context_id = c.context_id AND first_seq <= c.seq
			ORDER BY first_seq DESC LIMIT 1
		) AS s ON c.seq <= s.last_seq
		GROUP BY c.context_id, s.first_seq HAVING count(*) >= $1 OR min(c.at) < $2 ORDER BY count(*) DESC LIMIT 1`)

	selectSearchSegment = query(`SELECT last_seq FROM search_segment WHERE context_id = $1 AND first_seq = $2`)

	// What is left of contexts that are gone, in pieces.
	sweepSearch = []string{
		query(`DELETE FROM search_shard WHERE (context_id, first_seq, shard) IN (
			SELECT s.context_id, s.first_seq, s.shard FROM search_state gone JOIN search_shard s ON s.context_id = gone.context_id
			WHERE ` + searchGone + ` LIMIT $1)`),
		query(`DELETE FROM search_segment WHERE (context_id, first_seq) IN (
			SELECT s.context_id, s.first_seq FROM search_state gone JOIN search_segment s ON s.context_id = gone.context_id
			WHERE ` + searchGone + ` LIMIT $1)`),
		query(`DELETE FROM search_changed WHERE (context_id, seq) IN (
			SELECT gone.context_id, gone.seq FROM search_changed gone WHERE ` + searchGone + ` LIMIT $1)`),
		query(`DELETE FROM search_state WHERE context_id IN (SELECT gone.context_id FROM search_state gone WHERE ` + searchGone + ` LIMIT $1)`),
	}
)

const searchGone = `NOT EXISTS (SELECT FROM channel WHERE id = gone.context_id)
	AND NOT EXISTS (SELECT FROM direct_message_group WHERE id = gone.context_id)`

// searchForgets is the part of statements that takes messages away, those in the table "gone": what
// they said leaves the index when their segment is made again. Nobody finds them until then.
const searchForgets = `
		INSERT INTO search_changed (context_id, seq)
		SELECT coalesce(m.channel_id, m.direct_message_group_id), m.seq FROM message m
		WHERE m.id IN (SELECT id FROM gone) AND m.search_text IS NOT NULL
		ON CONFLICT DO NOTHING`

// Terms that are not in the text.
func authorTerm(id protocol.UserID) fulltext.Term { return fulltext.Tag("author " + id.String()) }
func fileTerm(kind string) fulltext.Term          { return fulltext.Tag("file " + kind) } // "": any

// IndexMessages puts the next messages of a channel or group into the index, when there are
// enough of them, in one transaction. It reports up to which seq they are in now and whether
// there is more to do. Any number may run at once.
func (db *DB) IndexMessages(ctx context.Context, id protocol.AnyID) (indexed int64, more bool, err error) {
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		indexed, more, err = indexNext(ctx, tx, id)
		return err
	})
	return indexed, more, oneLineOf("index messages of "+id.String(), err)
}

func indexNext(ctx context.Context, tx pgx.Tx, id protocol.AnyID) (indexed int64, more bool, err error) {
	if _, err := tx.Exec(ctx, insertSearchState, id); err != nil {
		return 0, false, err
	}
	err = tx.QueryRow(ctx, lockSearchState, id).Scan(&indexed)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	var tip int64
	if err := tx.QueryRow(ctx, selectContextTip, id).Scan(&tip); err != nil || tip-indexed < searchTail {
		return indexed, false, err
	}
	first, last := indexed+1, min(indexed+fulltext.MaxTexts, tip)
	rows, err := tx.Query(ctx, selectLastSegments, id)
	if err != nil {
		return indexed, false, err
	}
	earlier, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return indexed, false, err
	}
	for _, from := range earlier {
		if first-from > searchAbsorb*(last-first+1) || last-from >= fulltext.MaxTexts {
			break
		}
		first = from
	}
	if err := indexRange(ctx, tx, id, first, last); err != nil {
		return indexed, false, err
	}
	_, err = tx.Exec(ctx, updateSearchState, id, last)
	return last, tip-last >= searchTail, err
}

// indexRange makes one segment of all that is between two seqs.
func indexRange(ctx context.Context, tx pgx.Tx, id protocol.AnyID, first, last int64) error {
	b := &pgx.Batch{}
	for _, sql := range []string{deleteSearchChanged, deleteSearchSegments, deleteSearchShards} {
		b.Queue(sql, id, first, last)
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, selectSearchTexts, id, first, last)
	if err != nil {
		return err
	}
	var (
		build          fulltext.Builder
		terms          []fulltext.Term
		seq            int64
		at             protocol.Instant
		oldest, newest protocol.Instant
		author         protocol.UserID
		text           string
		files          []string
	)
	_, err = pgx.ForEachRow(rows, []any{&seq, &at, &author, &text, &files}, func() error {
		if oldest == 0 || at < oldest {
			oldest = at
		}
		newest = max(newest, at)
		if text == "" && len(files) == 0 {
			return nil
		}
		terms = fulltext.AppendTerms(terms[:0], fulltext.Fold(text))
		if !author.IsZero() {
			terms = append(terms, authorTerm(author))
		}
		for _, kind := range files {
			terms = append(terms, fileTerm(kind), fileTerm(""))
		}
		build.Add(int(seq-first), terms)
		return nil
	})
	if err != nil {
		return err
	}
	shards := build.Build()
	b = &pgx.Batch{}
	b.Queue(insertSearchSegment, id, first, last, oldest, newest, len(shards))
	b.Queue(insertSearchShards, id, first, shards)
	return tx.SendBatch(ctx, b).Close()
}

// IndexLagging looks for messages that nobody has indexed, and for segments of which much has
// changed, and does a step of that work. It reports whether there may be more.
func (db *DB) IndexLagging(ctx context.Context, now protocol.Instant) (more bool, err error) {
	const contexts = 8
	ids, err := listRows(ctx, db, "look for messages to index", pgx.RowTo[protocol.AnyID], selectSearchLag, searchTail, contexts)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if _, _, err := db.IndexMessages(ctx, id); err != nil {
			return false, err
		}
	}
	if len(ids) > 0 {
		return true, nil
	}
	var id protocol.AnyID
	var first int64
	err = db.pool.QueryRow(ctx, selectSearchStale, searchStale, now-protocol.Instant(time.Hour/time.Millisecond)).Scan(&id, &first)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, oneLineOf("look for changes to index", err)
	}
	return true, db.reindex(ctx, id, first)
}

// reindex makes a segment again.
func (db *DB) reindex(ctx context.Context, id protocol.AnyID, first int64) error {
	return oneLineOf("index messages of "+id.String()+" again", db.InTx(ctx, func(tx pgx.Tx) error {
		var indexed, last int64
		err := tx.QueryRow(ctx, lockSearchState, id).Scan(&indexed)
		if err == nil {
			err = tx.QueryRow(ctx, selectSearchSegment, id, first).Scan(&last)
		}
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // somebody else has it, or has made something else of it
		}
		if err != nil {
			return err
		}
		return indexRange(ctx, tx, id, first, last)
	}))
}

// SweepSearch removes a piece of the index of channels and groups that are gone, and reports
// whether there is more.
func (db *DB) SweepSearch(ctx context.Context, limit int) (more bool, err error) {
	for _, sql := range sweepSearch {
		tag, err := db.pool.Exec(ctx, sql, limit)
		if err != nil || tag.RowsAffected() > 0 {
			return err == nil, oneLineOf("sweep search", err)
		}
	}
	return false, nil
}

// searchNotes is what the writers of this node have stored and the indexer has not looked at.
type searchNotes struct {
	mu    sync.Mutex
	taken bool // there is an indexer
	marks map[protocol.AnyID]searchMark
}

type searchMark struct{ first, last int64 } // first: the oldest that may not be indexed

// maxSearchMarks bounds the contexts in memory; those that are forgotten are found by
// IndexLagging.
const maxSearchMarks = 1 << 16

// stored notes the messages among rows that were committed.
func (n *searchNotes) stored(rows []Row) {
	for _, r := range rows {
		row, ok := r.(*MessageRow)
		if !ok {
			continue
		}
		var id protocol.AnyID
		switch m := row.Message; {
		case m.ChannelID != nil:
			id = protocol.AnyID(*m.ChannelID)
		case m.DirectMessageGroupID != nil:
			id = protocol.AnyID(*m.DirectMessageGroupID)
		}
		n.note(id, row.Message.Seq)
	}
}

func (n *searchNotes) note(id protocol.AnyID, seq int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.taken {
		return
	}
	m, known := n.marks[id]
	if !known {
		if len(n.marks) >= maxSearchMarks {
			clear(n.marks)
		}
		m.first = seq
	}
	m.last = max(m.last, seq)
	n.marks[id] = m
}

// due takes a context with enough messages, the one that has most.
func (n *searchNotes) due() (id protocol.AnyID, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	most := int64(searchTail)
	for c, m := range n.marks {
		if lag := m.last - m.first + 1; lag > most || lag == most && (!ok || bytes.Compare(c[:], id[:]) < 0) {
			id, ok, most = c, true, lag
		}
	}
	return id, ok
}

// done notes up to which seq a context is indexed; 0: nobody knows.
func (n *searchNotes) done(id protocol.AnyID, indexed int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := n.marks[id]
	if m.first = max(m.first, indexed+1); indexed == 0 || m.last < m.first {
		delete(n.marks, id)
		return
	}
	n.marks[id] = m
}

// How the indexer makes room for others: while much is being stored it rests nine times as long
// as it has worked, and otherwise as long.
const (
	searchPause  = time.Second // between two looks
	searchBusy   = 500         // rows a second that count as much
	searchYields = 9
)

// SearchIndexer indexes what the writers of a node store.
type SearchIndexer struct {
	stop context.CancelFunc
	over chan struct{}
}

// StartSearchIndexer starts it. A DB has one at a time.
func StartSearchIndexer(db *DB, w *Writer) *SearchIndexer {
	ctx, stop := context.WithCancel(context.Background())
	i := &SearchIndexer{stop: stop, over: make(chan struct{})}
	n := &db.search
	n.mu.Lock()
	n.taken, n.marks = true, map[protocol.AnyID]searchMark{}
	n.mu.Unlock()
	go func() {
		defer close(i.over)
		i.run(ctx, db, w)
	}()
	return i
}

// Stop ends it and waits for that.
func (i *SearchIndexer) Stop() {
	i.stop()
	<-i.over
}

func (i *SearchIndexer) run(ctx context.Context, db *DB, w *Writer) {
	stored, looked := w.counters.rows.Load(), time.Now()
	busy, behind := false, true // behind: what others have left, such as the run before
	for rest := searchPause; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
		if since := time.Since(looked); since >= searchPause {
			now := w.counters.rows.Load()
			busy = float64(now-stored)/since.Seconds() > searchBusy
			stored, looked = now, time.Now()
		}
		began := time.Now()
		worked, err := db.indexDue(ctx, &behind)
		if err != nil && ctx.Err() == nil {
			db.log.Warn("could not index messages", "error", err)
			rest = 10 * searchPause
			continue
		}
		if !worked {
			rest = searchPause
			continue
		}
		rest = time.Since(began)
		if busy {
			rest *= searchYields
		}
	}
}

// indexDue does a step of what there is to do, and reports whether there was any.
func (db *DB) indexDue(ctx context.Context, behind *bool) (worked bool, err error) {
	if id, ok := db.search.due(); ok {
		indexed, _, err := db.IndexMessages(ctx, id)
		if err == nil {
			db.search.done(id, indexed)
		}
		return true, err
	}
	if *behind {
		*behind, err = db.IndexLagging(ctx, protocol.InstantOf(time.Now()))
	}
	return *behind, err
}

// searchContexts are the ids of channels as those of contexts.
func searchContexts[ID ~[16]byte](list []ID) []protocol.AnyID {
	ids := make([]protocol.AnyID, len(list))
	for i, id := range list {
		ids[i] = protocol.AnyID(id)
	}
	return ids
}
