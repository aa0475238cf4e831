package persistence

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rookery-chat/rookery/protocol"
)

// MessagesAround reads the page around a message, with at most half messages on
// each side of it, in one statement; nil when lists do not show the message.
func (db *DB) MessagesAround(ctx context.Context, in protocol.Place, id protocol.MessageID, half int) (json.RawMessage, error) {
	rows, err := db.pool.Query(ctx, logOf(in).around, in.ID(), id, half)
	if err != nil {
		return nil, oneLine(fmt.Errorf("read around message %s: %w", id, err))
	}
	defer rows.Close()
	var r messageScan
	fields := r.fields()
	var older, newer [][]byte // the anchor is the first of older
	var seqs [2][]int64
	for rows.Next() {
		if err := rows.Scan(fields...); err != nil {
			return nil, oneLine(fmt.Errorf("read around message %s: %w", id, err))
		}
		if len(older) == 0 || r.m.Seq < seqs[0][0] {
			older, seqs[0] = append(older, r.appendJSON(nil)), append(seqs[0], r.m.Seq)
			continue
		}
		newer, seqs[1] = append(newer, r.appendJSON(nil)), append(seqs[1], r.m.Seq)
	}
	if err := rows.Err(); err != nil {
		return nil, oneLine(fmt.Errorf("read around message %s: %w", id, err))
	}
	if len(older) == 0 {
		return nil, nil
	}
	a := protocol.Around{In: in}
	if len(older) > half+1 {
		older = older[:half+1]
		a.Older = seqs[0][half]
	}
	if len(newer) > half {
		newer = newer[:half]
		a.Newer = seqs[0][0]
		if half > 0 {
			a.Newer = seqs[1][half-1]
		}
	}
	for i := len(newer) - 1; i >= 0; i-- {
		a.Add(newer[i])
	}
	for _, text := range older {
		a.Add(text)
	}
	return a.Text(), nil
}
