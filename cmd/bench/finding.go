//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

// What is searched: a community with a million messages in public channels, one
// of them with half of all, and a private one that one user sees among others
// that he does not.
const (
	foundMessages = 1_000_000
	foundChannels = 100
	foundPrivate  = 2000 // messages of the private channel
	foundWords    = 30_000
	// findEnough is how often a kind of query is asked, findSeconds how long at most.
	findEnough  = 200
	findSeconds = 6
	findLimit   = 500 // ms at the 99th percentile
)

// finding measures searches.
func finding(ctx context.Context, s *stage) error {
	progress("search: filling")
	r, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer func() { r.stop() }()
	began := time.Now()
	private, err := s.talk(ctx)
	if err != nil {
		return fmt.Errorf("fill the community: %w", err)
	}
	progress("search: %d messages stored, %.1f s", foundMessages, time.Since(began).Seconds())
	// The server has known the community without its channels.
	r.stop()
	if r, err = s.open(ctx); err != nil {
		return err
	}
	if err := s.indexed(ctx); err != nil {
		return err
	}
	if err := r.calm(ctx); err != nil {
		return err
	}
	w, err := dialWire(ctx, r.addr)
	if err != nil {
		return err
	}
	defer w.close()
	outsider, insider := s.users[1], s.users[0]
	community := "/api/messages/search/community/" + s.community
	for _, k := range []struct {
		name, path string
		by         member
		query      func(i int) string
	}{
		{"the commonest word", community, outsider, always(spelled(0))},
		{"two common words", community, outsider, func(i int) string { return spelled(i%5) + " " + spelled(5+i%7) }},
		{"words of all kinds", community, outsider, func(i int) string { return spelled(i * 97 % foundWords) }},
		{"rare words, newest page", community, outsider, func(i int) string { return spelled(foundWords - 1 - i) }},
		{"parts of words", community, outsider, func(i int) string { return spelled(200 + i*13)[1:] }},
		{"one letter", community, outsider, func(i int) string { return string(rune('a' + i%26)) }},
		{"two letters", community, outsider, func(i int) string { return spelled(i * 31 % foundWords)[:2] }},
		{"one character that is not there", community, outsider, always("龍")},
		{"a word that is not there", community, outsider, func(i int) string { return fmt.Sprintf("xqzj%dvv", i) }},
		{"common words as one", community, outsider, always(spelled(0) + spelled(1) + spelled(2))},
		{"the commonest word, result 1000 and on", community + "?offset=1000", outsider, always(spelled(0))},
		{"the commonest word, of an author with three messages", community + "?authorId=" + s.users[9].id, outsider, always(spelled(0))},
		{"the commonest word, with a file, of which there are none", community + "?hasAttachment=true", outsider, always(spelled(0))},
		{"the commonest word, in the oldest tenth", community + "?before=" + url.QueryEscape(s.oldest()), outsider, always(spelled(0))},
		{"the commonest word, in the one private channel that the searcher sees", "/api/messages/search/channel/" + private, insider, always(spelled(0))},
		{"a word of the private channel, in the community", community, insider, always("confidential")},
		{"the same, of who does not see it", community, outsider, always("confidential")},
	} {
		if err := s.find(ctx, w, k.name, k.path, k.by, k.query); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

func always(q string) func(int) string { return func(int) string { return q } }

// find asks one kind of query, again and again.
func (s *stage) find(ctx context.Context, w *wire, name, path string, by member, query func(i int) string) error {
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	var h histogram
	found, began := 0, time.Now()
	all := watch()
	for i := 0; i < findEnough && time.Since(began) < findSeconds*time.Second && ctx.Err() == nil; i++ {
		at := time.Now()
		status, body, err := w.do(w.request(http.MethodGet, path+sep+"q="+url.QueryEscape(query(i)), by.token, nil))
		if err != nil || status != http.StatusOK {
			return errors.Join(err, fmt.Errorf("%d %.200s", status, body))
		}
		h.add(int64(time.Since(at)))
		found += strings.Count(string(body), `"sentAt"`)
	}
	s.table.add(figure{
		what: "search: " + name + ": p99 ms", value: h.quantile(0.99), limit: h.quantile(0.99), atMost: findLimit, others: all.cores(),
		note: fmt.Sprintf("median %.1f ms, %d queries, %.1f found on average", h.quantile(0.5), h.total, float64(found)/float64(max(1, h.total))),
	})
	return ctx.Err()
}

// spelled is the word of a rank: the same for everybody, common ones short.
func spelled(rank int) string {
	const syllables = "ta re ni so ka lu me do pa vi tor len an est mir gol un sha bri eck"
	list := strings.Fields(syllables)
	var b strings.Builder
	for n := rank + 3; ; n /= len(list) {
		b.WriteString(list[n%len(list)])
		if n < len(list) {
			return b.String()
		}
	}
}

// foundAt is when the n-th message was sent: one a second.
func foundAt(n int) time.Time { return time.Now().Add(time.Duration(n-foundMessages) * time.Second) }

func (s *stage) oldest() string { return foundAt(foundMessages / 10).UTC().Format(time.RFC3339) }

// talk fills the community: words as often as people use them (Zipf).
func (s *stage) talk(ctx context.Context) (private string, err error) {
	db, err := s.database(ctx)
	if err != nil {
		return "", err
	}
	defer db.Close(context.WithoutCancel(ctx))
	ids := make([]string, foundChannels)
	for i := range ids {
		ids[i] = newID()
		_, err := db.Exec(ctx, "INSERT INTO channel (id, name, community_id, is_private) VALUES ($1, $2, $3, false)", ids[i], fmt.Sprint("talk", i), s.community)
		if err != nil {
			return "", err
		}
	}
	closed, err := s.channels(ctx, db, "closed", 1, func(int) []member { return s.users[:1] })
	if err != nil {
		return "", err
	}
	if _, err := db.Exec(ctx, "SET synchronous_commit = off"); err != nil {
		return "", err
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same text in every run
	seqs := map[string]int{}
	write := func(n int, channel func(i int) string, more string) error {
		return copyRows(ctx, db, "message", []string{"id", "channel_id", "seq", "author_id", "sent_at", "pending_attachments", "search_text", "spans"}, n,
			func(i int) []any {
				c := channel(i)
				seqs[c]++
				author := s.users[20+random.IntN(1000)]
				if i == n/4 || i == n/2 || i == n-n/4 {
					author = s.users[9]
				}
				text := sentence(random) + more
				id := protocol.NewID[inserted]()
				spans := protocol.AppendSpans(nil, []protocol.Span{{
					ID: protocol.AnyID(id), MessageID: protocol.MessageID(id), Type: protocol.SpanPlaintext, Text: &text,
				}})
				return []any{id.String(), c, seqs[c], author.id, foundAt(i), 0, text, string(spans)}
			})
	}
	err = write(foundMessages, func(int) string {
		if random.IntN(2) == 0 {
			return ids[0]
		}
		return ids[int(math.Sqrt(random.Float64())*foundChannels)]
	}, "")
	if err == nil {
		err = write(foundPrivate, func(int) string { return closed[0] }, " confidential")
	}
	if err == nil {
		_, err = db.Exec(ctx, "VACUUM ANALYZE message, channel")
	}
	return closed[0], err
}

// sentence is about a hundred characters.
func sentence(random *rand.Rand) string {
	words := make([]string, 0, 20)
	words = append(words, spelled(0))
	for range 6 + random.IntN(22) {
		// The quantile of Zipf's law, nearly.
		rank := int(math.Pow(foundWords, random.Float64())) - 1
		words = append(words, spelled(rank))
	}
	return strings.Join(words, " ")
}

// indexed waits until the server has indexed what was stored behind its back.
func (s *stage) indexed(ctx context.Context) error {
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	var first time.Time
	var before int64
	for {
		done, left, err := lag(ctx, db)
		if err != nil {
			return err
		}
		if done > 0 && first.IsZero() {
			first, before = time.Now(), done
		}
		if left < 64*(foundChannels+senders+10) {
			if took := time.Since(first).Seconds(); took > 1 {
				s.table.add(figure{what: "messages indexed a second, when there are many", value: float64(done-before) / took, note: s.size(ctx, db)})
			}
			return nil
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

func lag(ctx context.Context, db *pgx.Conn) (done, left int64, err error) {
	err = db.QueryRow(ctx, `SELECT coalesce(sum(coalesce(s.indexed_seq, 0)), 0)::bigint, coalesce(sum(m.seq - coalesce(s.indexed_seq, 0)), 0)::bigint
		FROM channel c JOIN LATERAL (SELECT max(seq) AS seq FROM message WHERE channel_id = c.id) m ON m.seq IS NOT NULL
		LEFT JOIN search_state s ON s.context_id = c.id`).Scan(&done, &left)
	return done, left, err
}

// size is what the index takes.
func (s *stage) size(ctx context.Context, db *pgx.Conn) string {
	var index, messages int64
	if err := db.QueryRow(ctx, `SELECT pg_total_relation_size('search_shard'), pg_total_relation_size('message')`).Scan(&index, &messages); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("the index has %d MB, the messages %d MB", index>>20, messages>>20)
}
