package fulltext

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold makes texts equal that a reader takes for the same.
func Fold(s string) string {
	if ascii(s) {
		return strings.ToLower(s)
	}
	s = norm.NFKD.String(s)
	s = strings.Map(func(r rune) rune {
		switch {
		case unmarked(r):
			return -1
		case r == 'ı': // as people type it without a Turkish keyboard
			return 'i'
		}
		return unicode.ToLower(r)
	}, s)
	s = strings.ReplaceAll(s, "ß", "ss")
	return norm.NFC.String(s)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// unmarked are the marks that do not count: diacritics, points of Hebrew, vowel signs of Arabic,
// and variants of how a sign is shown.
func unmarked(r rune) bool {
	return r >= 0x300 && r <= 0x36f || r >= 0x591 && r <= 0x5c7 && unicode.Is(unicode.Mn, r) ||
		r >= 0x64b && r <= 0x65f || r == 0x670 || r >= 0xfe00 && r <= 0xfe0f
}

// kind is what a character is for the search.
type kind uint8

const (
	separator kind = iota
	letter         // of words that are written with spaces between them
	dense          // a word may begin at any of them
)

var spaceless = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo, unicode.Thai, unicode.Lao, unicode.Khmer,
	unicode.Myanmar, unicode.Tibetan,
}

func kindOf(r rune) kind {
	switch {
	case r < utf8.RuneSelf:
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return letter
		}
		return separator
	case r == 'ー' || r == '々': // common to several scripts
		return dense
	case r < 0xe00: // the first of the others is Thai
		if unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) {
			return letter
		}
	case unicode.In(r, spaceless...), unicode.Is(unicode.So, r):
		return dense
	case unicode.IsLetter(r), unicode.IsNumber(r), unicode.IsMark(r):
		return letter
	}
	if unicode.Is(unicode.So, r) {
		return dense
	}
	return separator
}

// runs cuts a folded text into its words and its runs of dense characters.
func runs(s string, yield func(run string, k kind)) {
	start, in := 0, separator
	for i, r := range s {
		k := kindOf(r)
		if k == in {
			continue
		}
		if in != separator {
			yield(s[start:i], in)
		}
		start, in = i, k
	}
	if in != separator {
		yield(s[start:], in)
	}
}
