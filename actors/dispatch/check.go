package dispatch

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
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

// rawSpan is a span before it is known to be one.
type rawSpan struct {
	kind, text                              value
	userID, specialKind, communityID, alias value
}

// readSpan reads the known keys, exactly; what else clients send (id, position
// ...) is dropped.
func readSpan(raw json.RawMessage) (span rawSpan, ok bool) {
	if len(raw) == 0 || raw[0] != '{' {
		return span, false
	}
	for c := enter(raw); ; {
		key, v, ok := c.member()
		if !ok {
			return span, true
		}
		switch string(key) {
		case "type":
			span.kind = valueOf(v)
		case "text":
			span.text = valueOf(v)
		case "userId":
			span.userID = valueOf(v)
		case "specialKind":
			span.specialKind = valueOf(v)
		case "communityId":
			span.communityID = valueOf(v)
		case "aliasId":
			span.alias = valueOf(v)
		}
	}
}

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
	refuse := func(rule, format string, args ...any) (*protocol.FieldError, int) {
		e := spanError(rule, format, args...)
		return &e, 0
	}
	span, ok := readSpan(raw)
	switch {
	case !ok:
		return refuse("nestedValidation", "each value in spans must be an object")
	case !contains(spanTypes, span.kind):
		return refuse("isEnum", "type of each span must be one of the following values: %s", strings.Join(spanTypes, ", "))
	case span.text.kind != text && (span.kind.str == protocol.SpanPlaintext || !span.text.nullish()):
		return refuse("isString", "text of each span must be a string")
	}
	for _, ref := range [...]struct {
		name string
		v    value
	}{{"userId", span.userID}, {"specialKind", span.specialKind}, {"communityId", span.communityID}, {"aliasId", span.alias}} {
		if ref.v.kind != text && !ref.v.nullish() {
			return refuse("isString", "%s of each span must be a string", ref.name)
		}
	}
	return nil, length(span.text.str)
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

// decodeSpans reads spans that passed spanFailures.
func decodeSpans(list []json.RawMessage) []protocol.SpanInput {
	spans := make([]protocol.SpanInput, 0, len(list))
	for _, raw := range list {
		s, _ := readSpan(raw)
		spans = append(spans, protocol.SpanInput{
			Type: s.kind.str, Text: s.text.optional(), UserID: s.userID.optional(),
			SpecialKind: s.specialKind.optional(), CommunityID: s.communityID.optional(), AliasID: s.alias.optional(),
		})
	}
	return spans
}

// optional is the text, nil for what is none.
func (v value) optional() *string {
	if v.kind != text {
		return nil
	}
	s := v.str // not &v.str: that would keep all of v
	return &s
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
	time.RFC1123, time.RFC1123Z, "Mon Jan 02 2006 15:04:05 GMT-0700", "Mon Jan 02 2006", "Jan 2, 2006 15:04:05", "Jan 2, 2006", "January 2, 2006", "2 Jan 2006", "2 January 2006",
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
	default: // no date
	}
	return 0, false
}

// hourMinute is a time of the day.
var hourMinute = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)

// isTimeZone reports whether the server knows the zone. "Local" is no name.
func isTimeZone(v value) bool {
	if v.kind != text || v.str == "" || v.str == "Local" || len(v.str) > 64 {
		return false
	}
	_, err := time.LoadLocation(v.str)
	return err == nil
}

// isoDate is how a date in ISO 8601 begins; the rest is the business of jsDate.
var isoDate = regexp.MustCompile(`^\d{4}(-\d{2}(-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?)?)?$`)

func isISODate(v value) bool {
	if v.kind != text || !isoDate.MatchString(v.str) {
		return false
	}
	_, ok := jsDate(v)
	return ok
}

func inRange(t time.Time) (protocol.Instant, bool) {
	if t.Year() < minYear || t.Year() > maxYear {
		return 0, false
	}
	return protocol.InstantOf(t), true
}
