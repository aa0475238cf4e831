package httpapi

import (
	"bytes"
	"mime"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// sniffed is how much of a file its type is told by.
const sniffed = 3072

// looks are what the content of a type may look like, by the names that
// mimetype gives; a name stands for all that are derived from it. Types that are
// not listed can't be checked and are taken as they are.
var looks = map[string][]string{
	"image/jpeg": {"image/jpeg"}, "image/jpg": {"image/jpeg"}, "image/png": {"image/png"}, "image/gif": {"image/gif"},
	"image/webp": {"image/webp"}, "image/svg+xml": {"image/svg+xml"},

	"video/mp4": {"video/mp4", "video/quicktime"}, "video/quicktime": {"video/mp4", "video/quicktime"},
	"video/webm": {"video/webm", "video/matroska"}, "video/ogg": {"application/ogg"}, "video/x-msvideo": {"video/x-msvideo"},

	"audio/mpeg": {"audio/mpeg"}, "audio/wav": {"audio/wav"}, "audio/ogg": {"application/ogg"},
	"audio/webm": {"video/webm", "video/matroska"}, "audio/aac": {"audio/aac", "video/mp4"},

	"application/pdf": {"application/pdf"},
	// Encrypted ones are OLE, old names are given to RTF, and Excel's to tables of text.
	"application/msword":            {"application/x-ole-storage", "text/rtf", "application/zip"},
	"application/vnd.ms-powerpoint": {"application/x-ole-storage", "application/zip"},
	"application/vnd.ms-excel":      {"application/x-ole-storage", "text/plain", "application/zip"},
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   {"application/zip", "application/x-ole-storage"},
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         {"application/zip", "application/x-ole-storage"},
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": {"application/zip", "application/x-ole-storage"},

	"text/plain": {"text/plain"}, "text/csv": {"text/plain"},

	"application/zip": {"application/zip"}, "application/x-zip-compressed": {"application/zip"},
	"application/vnd.rar": {"application/vnd.rar"}, "application/x-rar-compressed": {"application/vnd.rar"},
	"application/x-rar": {"application/vnd.rar"}, "application/rar": {"application/vnd.rar"},
	"application/x-7z-compressed": {"application/x-7z-compressed"}, "application/gzip": {"application/gzip"},
	"application/x-gzip": {"application/gzip"}, "application/x-tar": {"application/x-tar"},
	"application/x-bzip": {"application/x-bzip2"}, "application/x-bzip2": {"application/x-bzip2"},
}

// declaredType is the type that a part says it has, without parameters. One that
// says nothing has the type of its content.
func declaredType(header string, head []byte) string {
	kind, _, err := mime.ParseMediaType(header)
	if err != nil {
		kind, _, _ = strings.Cut(header, ";")
		kind = strings.ToLower(strings.TrimSpace(kind))
	}
	if kind != "" && kind != "application/octet-stream" && len(kind) <= 127 && printable(kind) {
		return kind
	}
	kind, _, _ = strings.Cut(mimetype.Detect(head).String(), ";")
	if kind == "image/vnd.mozilla.apng" || kind == "image/apng" {
		kind = "image/png"
	}
	return kind
}

func printable(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// fits reports whether the beginning of a file is that of its type.
func fits(kind string, head []byte) bool {
	want, known := looks[kind]
	if !known {
		return true
	}
	is := mimetype.Detect(head)
	text := false
	for m := is; m != nil; m = m.Parent() {
		for _, w := range want {
			// Pictures of phones are derived from MP4.
			if m.Is(w) && (!strings.HasPrefix(kind, "video/") && !strings.HasPrefix(kind, "audio/") || !strings.HasPrefix(is.String(), "image/")) {
				return true
			}
		}
		text = text || m.Is("text/plain")
	}
	switch kind {
	case "image/svg+xml": // behind a long comment
		return text && bytes.Contains(head, []byte("<svg"))
	case "audio/mpeg": // a tag, or a frame without one
		return bytes.HasPrefix(head, []byte("ID3")) || len(head) > 1 && head[0] == 0xff && head[1]&0xe0 == 0xe0
	default:
		return false
	}
}
