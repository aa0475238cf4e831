package httpapi

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rookery-chat/rookery/protocol"
)

// cleanFilename makes the name that a client gave one that can be shown: without
// directories, without characters that nobody sees, not too long. The extension
// stays.
func cleanFilename(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	if at := strings.LastIndexAny(name, `/\`); at >= 0 {
		name = name[at+1:]
	}
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || isDirectional(r) {
			return -1
		}
		return r
	}, name))
	if name == "" || name == "." || name == ".." {
		return "file"
	}
	over := utf8.RuneCountInString(name) - protocol.MaxFilename
	if over <= 0 {
		return name
	}
	stem, ext := name, ""
	if at := strings.LastIndexByte(name, '.'); at > 0 && utf8.RuneCountInString(name[at:]) <= 16 {
		stem, ext = name[:at], name[at:]
	}
	runes := []rune(stem)
	return string(runes[:len(runes)-over]) + ext
}

// isDirectional reports characters that turn the order of those around them:
// with them "exe.jpg" can be written so that it is read the other way round.
func isDirectional(r rune) bool {
	return r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// disposition is the Content-Disposition of a file (RFC 6266): an old form for
// whoever reads no other, and the name itself.
func disposition(kind, name string) string {
	var plain, encoded strings.Builder
	for _, r := range name {
		if r == '"' || r == '\\' || r < ' ' || r == 0x7f {
			plain.WriteByte('_')
		} else {
			plain.WriteRune(r)
		}
	}
	const hexDigits = "0123456789ABCDEF"
	for _, c := range []byte(name) {
		if isAttrChar(c) {
			encoded.WriteByte(c)
		} else {
			encoded.WriteByte('%')
			encoded.WriteByte(hexDigits[c>>4])
			encoded.WriteByte(hexDigits[c&15])
		}
	}
	return kind + `; filename="` + plain.String() + `"; filename*=UTF-8''` + encoded.String()
}

// isAttrChar is attr-char of RFC 8187.
func isAttrChar(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$&+-.^_`|~", c) >= 0
}
