package persistence

// searchStatements are those for one kind of context.
type searchStatements struct{ tail, changed, look string }

// searched is what a search wants to know of a message, when it is one that is looked for.
const searched = `m.seq, m.id, m.sent_at, m.search_text`

const searchFilters = ` m.deleted_at IS NULL AND m.search_text IS NOT NULL
	AND ` + threadShown + `
	AND ($1::uuid IS NULL OR m.author_id = $1)
	AND ($2::timestamptz IS NULL OR m.sent_at > $2) AND ($3::timestamptz IS NULL OR m.sent_at < $3)
	AND ($4::boolean IS NULL OR $4 = EXISTS (SELECT FROM message_attachment a WHERE a.message_id = m.id))
	AND ($5::text IS NULL OR EXISTS (SELECT FROM message_attachment a JOIN file f ON f.id = a.file_id
		WHERE a.message_id = m.id AND f.file_type = $5))`

func searchTailOf(column string) string {
	return `SELECT w.id, t.* FROM unnest($6::uuid[]) AS w (id) LEFT JOIN search_state s ON s.context_id = w.id
		CROSS JOIN LATERAL (
			SELECT ` + searched + ` FROM message m WHERE m.` + column + ` = w.id AND m.seq > coalesce(s.indexed_seq, 0) AND` + searchFilters + `
			ORDER BY m.seq DESC LIMIT $7
		) AS t LIMIT $8`
}

func searchChangedOf(column string) string {
	return `SELECT c.context_id, ` + searched + ` FROM search_changed c JOIN message m ON m.` + column + ` = c.context_id AND m.seq = c.seq
		WHERE c.context_id = ANY ($6::uuid[]) AND` + searchFilters + ` LIMIT $7`
}

func searchLookOf(column string) string {
	return `SELECT w.id, ` + searched + ` FROM unnest($6::uuid[], $7::bigint[]) AS w (id, seq)
		JOIN message m ON m.` + column + ` = w.id AND m.seq = w.seq WHERE` + searchFilters
}

var (
	searchTailChannel, searchTailGroup       = query(searchTailOf("channel_id")), query(searchTailOf("direct_message_group_id"))
	searchChangedChannel, searchChangedGroup = query(searchChangedOf("channel_id")), query(searchChangedOf("direct_message_group_id"))
	searchLookChannel, searchLookGroup       = query(searchLookOf("channel_id")), query(searchLookOf("direct_message_group_id"))

	limitSearch = query(`SELECT set_config('statement_timeout', $1, true)`)

	selectSearchSegments = query(`
		SELECT context_id, first_seq, shards, newest_at FROM search_segment
		WHERE context_id = ANY ($1::uuid[]) AND ($2::timestamptz IS NULL OR newest_at > $2) AND ($3::timestamptz IS NULL OR oldest_at < $3)
		ORDER BY newest_at DESC, first_seq DESC, context_id`)

	selectSearchShards = query(`
		SELECT s.context_id, s.first_seq, s.shard, s.data FROM unnest($1::uuid[], $2::bigint[], $3::int[]) AS w (context_id, first_seq, shard)
		JOIN search_shard s USING (context_id, first_seq, shard)`)

	selectFound = query(`SELECT ` + messageColumns + messageTable + ` WHERE m.id = ANY ($1) AND m.deleted_at IS NULL`)
)
