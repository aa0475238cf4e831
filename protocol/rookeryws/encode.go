package rookeryws

import (
	"encoding/json"
	"strconv"

	"github.com/rookery-chat/rookery/protocol"
	"github.com/rookery-chat/rookery/protocol/internal/jsontext"
)

// PongFrame answers the ping operation.
const PongFrame = `{"ev":"pong"}`

// AppendOK appends the successful reply to request id. The value must be valid
// JSON; nil is sent as null.
func AppendOK(dst []byte, id int64, value json.RawMessage) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendInt(dst, id, 10)
	dst = append(dst, `,"ok":`...)
	dst = appendRaw(dst, value)
	return append(dst, '}')
}

// AppendErr appends the failed reply to request id.
func AppendErr(dst []byte, id int64, e *protocol.Error) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendInt(dst, id, 10)
	dst = append(dst, `,"err":{"code":`...)
	dst = jsontext.AppendString(dst, string(e.Code))
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(e.Status()), 10)
	dst = append(dst, `,"message":`...)
	dst = jsontext.AppendString(dst, e.Message)
	if e.RetryAfter > 0 {
		dst = append(dst, `,"retryAfterMs":`...)
		dst = strconv.AppendInt(dst, max(1, e.RetryAfter.Milliseconds()), 10)
	}
	if len(e.Fields) > 0 {
		dst = appendFields(dst, e.Fields)
	}
	return append(dst, "}}"...)
}

// appendFields groups the messages by field and keeps the order in which the
// fields first occur.
func appendFields(dst []byte, fields []protocol.FieldError) []byte {
	dst = append(dst, `,"fields":{`...)
	seen := make(map[string]bool, len(fields))
	for i, f := range fields {
		if seen[f.Field] {
			continue
		}
		if len(seen) > 0 {
			dst = append(dst, ',')
		}
		seen[f.Field] = true
		dst = jsontext.AppendString(dst, f.Field)
		dst = append(dst, ":["...)
		dst = jsontext.AppendString(dst, f.Message)
		for _, g := range fields[i+1:] {
			if g.Field == f.Field {
				dst = append(dst, ',')
				dst = jsontext.AppendString(dst, g.Message)
			}
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// Event is an event of a stream. An empty Stream leaves "ch", "ep", "seq" and
// "rev" out; a negative Seq and no Rev the latter three: the event has no place in
// the stream.
type Event struct {
	Name   string
	Stream string
	Epoch  int64
	Seq    int64           // negative: it has none
	Rev    int64           // 0: it has none
	D      json.RawMessage // valid JSON; nil leaves "d" out
}

// AppendEventHead appends the part of an event frame that differs between
// receivers: the event number of the session.
func AppendEventHead(dst []byte, n int64) []byte {
	dst = append(dst, `{"n":`...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, ',')
}

// AppendEventTail appends the part of an event frame that is the same for every
// receiver; AppendEventHead comes before it.
func AppendEventTail(dst []byte, e Event) []byte {
	dst = append(dst, `"ev":`...)
	dst = jsontext.AppendString(dst, e.Name)
	if e.Stream != "" {
		dst = append(dst, `,"ch":`...)
		dst = jsontext.AppendString(dst, e.Stream)
	}
	if e.Stream != "" && (e.Seq >= 0 || e.Rev > 0) {
		dst = append(dst, `,"ep":`...)
		dst = strconv.AppendInt(dst, e.Epoch, 10)
		if e.Seq >= 0 {
			dst = append(dst, `,"seq":`...)
			dst = strconv.AppendInt(dst, e.Seq, 10)
		}
		if e.Rev > 0 {
			dst = append(dst, `,"rev":`...)
			dst = strconv.AppendInt(dst, e.Rev, 10)
		}
	}
	if len(e.D) > 0 {
		dst = append(dst, `,"d":`...)
		dst = append(dst, e.D...)
	}
	return append(dst, '}')
}

// AppendReady appends the frame that opens a session; d is the user's snapshot.
func AppendReady(dst []byte, d json.RawMessage) []byte {
	dst = append(dst, `{"ev":"ready","d":`...)
	dst = appendRaw(dst, d)
	return append(dst, '}')
}

// AppendResumed appends the frame that continues a session; replayed is the
// number of events that follow it from the buffer.
func AppendResumed(dst []byte, session string, replayed int) []byte {
	dst = append(dst, `{"ev":"resumed","d":{"session":`...)
	dst = jsontext.AppendString(dst, session)
	dst = append(dst, `,"replayed":`...)
	dst = strconv.AppendInt(dst, int64(replayed), 10)
	return append(dst, "}}"...)
}

// AppendNotice appends an event that has no number: it is not part of the session
// and does not come again.
func AppendNotice(dst []byte, name string, d json.RawMessage) []byte {
	dst = append(dst, `{"ev":`...)
	dst = jsontext.AppendString(dst, name)
	dst = append(dst, `,"d":`...)
	dst = appendRaw(dst, d)
	return append(dst, '}')
}

// ResetReason says why a session could not be continued.
type ResetReason string

// The reasons of a reset.
const (
	ResetExpired  ResetReason = "expired"
	ResetOverflow ResetReason = "overflow"
	ResetUnknown  ResetReason = "unknown"
)

// AppendReset appends the frame that tells a client to fetch afresh; a ready
// frame follows it.
func AppendReset(dst []byte, reason ResetReason) []byte {
	dst = append(dst, `{"ev":"reset","d":{"reason":`...)
	dst = jsontext.AppendString(dst, string(reason))
	return append(dst, "}}"...)
}

func appendRaw(dst []byte, raw json.RawMessage) []byte {
	if len(raw) == 0 {
		return append(dst, "null"...)
	}
	return append(dst, raw...)
}
