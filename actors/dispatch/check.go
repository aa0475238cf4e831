package dispatch

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/go-playground/validator/v10"

	"github.com/rookery-chat/rookery/protocol"
)

var formats = validator.New(validator.WithRequiredStructEnabled())

func isNumber(v value) bool { return v.kind == number && !math.IsInf(v.num, 0) }

func isEmail(v value) bool {
	return v.kind == text && len(v.str) <= 254 && formats.Var(v.str, "email") == nil
}

// isUUID is the syntax of bodies: RFC 9562 version and variant, or all zero, or
// all f. Paths accept any digits.
func isUUID(v value) bool {
	if v.kind != text {
		return false
	}
	id, err := protocol.ParseID[struct{}](v.str)
	if err != nil {
		return false
	}
	version, variant := id[6]>>4, id[8]>>6
	return version >= 1 && version <= 8 && variant == 2 || id.IsZero() || isMax(id[:])
}

func isMax(id []byte) bool {
	for _, b := range id {
		if b != 0xff {
			return false
		}
	}
	return true
}

func eachUUID(v value) bool {
	if v.kind != array {
		return false
	}
	for _, raw := range v.list {
		if !isUUID(valueOf(raw)) {
			return false
		}
	}
	return true
}

var spanTypes = []string{protocol.SpanPlaintext, protocol.SpanUser, protocol.SpanSpecial, protocol.SpanCommunity, protocol.SpanAlias}

// rawSpan is a span before it is known to be one. Its keys are exact; what else
// a client sends (id, position ...) is dropped.
type rawSpan map[string]json.RawMessage

// spanFailures judges the spans of a message. The reference does not, and fails
// later; so the texts are ours.
func spanFailures(v value) []protocol.FieldError {
	if len(v.list) > protocol.MaxSpans {
		return []protocol.FieldError{spanError("arrayMaxSize", "spans must contain no more than %d elements", protocol.MaxSpans)}
	}
	total := 0
	for _, raw := range v.list {
		failed, size := spanFailure(raw)
		if failed != nil {
			return []protocol.FieldError{*failed}
		}
		total += size
	}
	if total > protocol.MaxMessageText {
		return []protocol.FieldError{spanError("maxLength", "the text of all spans must be shorter than or equal to %d characters", protocol.MaxMessageText)}
	}
	return nil
}

func spanFailure(raw json.RawMessage) (failed *protocol.FieldError, size int) {
	var span rawSpan
	if err := json.Unmarshal(raw, &span); err != nil || span == nil {
		e := spanError("nestedValidation", "each value in spans must be an object")
		return &e, 0
	}
	kind := valueOf(span["type"])
	if !contains(spanTypes, kind) {
		e := spanError("isEnum", "type of each span must be one of the following values: %s", strings.Join(spanTypes, ", "))
		return &e, 0
	}
	content := valueOf(span["text"])
	if content.kind != text && (kind.str == protocol.SpanPlaintext || !content.nullish()) {
		e := spanError("isString", "text of each span must be a string")
		return &e, 0
	}
	for _, key := range [...]string{"userId", "specialKind", "communityId", "aliasId"} {
		if ref := valueOf(span[key]); ref.kind != text && !ref.nullish() {
			e := spanError("isString", "%s of each span must be a string", key)
			return &e, 0
		}
	}
	return nil, length(content.str)
}

func contains(set []string, v value) bool {
	for _, s := range set {
		if v.kind == text && v.str == s {
			return true
		}
	}
	return false
}

func spanError(rule, format string, args ...any) protocol.FieldError {
	return protocol.FieldError{Field: "spans", Rule: rule, Message: fmt.Sprintf(format, args...)}
}

// decodeSpans reads spans that passed spanFailures, by exact keys only.
func decodeSpans(list []json.RawMessage) []protocol.SpanInput {
	spans := make([]protocol.SpanInput, 0, len(list))
	for _, raw := range list {
		var m rawSpan
		if err := json.Unmarshal(raw, &m); err != nil {
			continue // it was judged to be an object
		}
		spans = append(spans, protocol.SpanInput{
			Type: valueOf(m["type"]).str, Text: optionalText(m["text"]), UserID: optionalText(m["userId"]),
			SpecialKind: optionalText(m["specialKind"]), CommunityID: optionalText(m["communityId"]), AliasID: optionalText(m["aliasId"]),
		})
	}
	return spans
}

func optionalText(raw json.RawMessage) *string {
	v := valueOf(raw)
	if v.kind != text {
		return nil
	}
	return &v.str
}

// maxJSDate is the range of a JavaScript Date in milliseconds (ECMA-262,
// 21.4.1.1), minYear and maxYear what Postgres and the contract's text can show.
const (
	maxJSDate = 8.64e15
	minYear   = 1
	maxYear   = 9999
)

// Layouts that clients send: ISO in its shortened forms and what JavaScript's
// Date prints.
var dateLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04",
	"2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02", "2006-01", "2006",
	time.RFC1123, time.RFC1123Z, "Mon Jan 02 2006 15:04:05 GMT-0700", "Mon Jan 02 2006", "Jan 2, 2006 15:04:05", "Jan 2, 2006", "January 2, 2006",
	"2006/01/02", "01/02/2006",
}

// jsDate reads what new Date(x) would: a text, or milliseconds since 1970.
func jsDate(v value) (protocol.Instant, bool) {
	switch v.kind {
	case number:
		if math.Abs(v.num) > maxJSDate {
			return 0, false
		}
		return inRange(time.UnixMilli(int64(v.num)).UTC())
	case text:
		s, _, _ := strings.Cut(strings.TrimSpace(v.str), " (") // "... GMT+0100 (CET)"
		for _, layout := range dateLayouts {
			if t, err := time.Parse(layout, s); err == nil {
				return inRange(t.UTC())
			}
		}
	}
	return 0, false
}

func inRange(t time.Time) (protocol.Instant, bool) {
	if t.Year() < minYear || t.Year() > maxYear {
		return 0, false
	}
	return protocol.InstantOf(t), true
}
