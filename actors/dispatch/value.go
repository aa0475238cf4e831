package dispatch

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// jsonKind is the JSON type of a value.
type jsonKind uint8

const (
	absent jsonKind = iota
	null
	boolean
	number
	text
	array
	object
)

// value is one field of a request before it has a Go type.
type value struct {
	kind jsonKind
	raw  json.RawMessage
	str  string            // of text
	num  float64           // of number
	list []json.RawMessage // of array
}

// valueOf classifies well-formed JSON.
func valueOf(raw json.RawMessage) value {
	raw = bytes.TrimSpace(raw)
	v := value{raw: raw}
	if len(raw) == 0 {
		return v
	}
	switch raw[0] {
	case 'n':
		v.kind = null
	case 't', 'f':
		v.kind = boolean
	case '"':
		v.kind, v.str = text, unquote(raw)
	case '[':
		v.kind, v.list = array, elements(raw)
	case '{':
		v.kind = object
	default:
		v.kind = number
		f, err := strconv.ParseFloat(string(raw), 64)
		if err != nil {
			f = math.Inf(1) // out of range, as JavaScript reads it
		}
		v.num = f
	}
	return v
}

// textValue is a string that came by path or query, where it may be any bytes;
// Postgres takes UTF-8 only.
func textValue(s string) value { return value{kind: text, str: strings.ToValidUTF8(s, "\uFFFD")} }

func unquote(raw json.RawMessage) string {
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return ""
	}
	return s
}

func (v value) nullish() bool { return v.kind == absent || v.kind == null }

func (v value) integer() bool {
	return v.kind == number && v.num == math.Trunc(v.num) && !math.IsInf(v.num, 0)
}

// length counts code points without variation selectors, as the contract does.
func length(s string) int {
	n := utf8.RuneCountInString(s)
	if strings.Contains(s, "\uFE0E") || strings.Contains(s, "\uFE0F") {
		n -= strings.Count(s, "\uFE0E") + strings.Count(s, "\uFE0F")
	}
	return n
}

// hasNUL reports whether a JSON text holds the character U+0000 anywhere, which
// Postgres can't store. A raw NUL is not JSON, so it can only be escaped.
func hasNUL(raw []byte) bool {
	for i := 0; ; {
		n := bytes.Index(raw[i:], []byte(`\u0000`))
		if n < 0 {
			return false
		}
		slashes := 0
		for at := i + n; at >= 0 && raw[at] == '\\'; at-- {
			slashes++
		}
		if slashes%2 == 1 {
			return true
		}
		i += n + 1
	}
}
