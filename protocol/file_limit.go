package protocol

import (
	"fmt"
	"slices"
	"strings"
)

const (
	kib = 1 << 10
	mib = 1 << 20

	// MaxUpload is what is taken of any file.
	MaxUpload = 1 << 30
	// MaxFilename bounds names, in characters.
	MaxFilename = 255
	// MaxPixels bounds pictures: what nobody would want to decode (12,000 x 8,000).
	MaxPixels = 96_000_000
)

// sizeLimit is how large a file of a type may be.
func sizeLimit(mimeType string) int64 {
	switch kind, _, _ := strings.Cut(mimeType, "/"); kind {
	case "video":
		return 500 * mib
	case "image":
		return 25 * mib
	case "audio":
		return 50 * mib
	default:
		return 100 * mib
	}
}

// CheckFileType is what every upload must pass, whatever it is for. The type is
// the one that the client gave.
func CheckFileType(mimeType string, size int64) error {
	if limit := sizeLimit(mimeType); size > limit {
		return unprocessable("File too large (%.2fMB). Maximum allowed size for %s is %.2fMB", megabytes(size), mimeType, megabytes(limit))
	}
	for _, kind := range []string{"image", "video", "audio", "application", "text"} {
		if strings.HasPrefix(mimeType, kind) {
			return nil
		}
	}
	return unprocessable("Validation failed (current file type is %s, expected type is /^(image|video|audio|application|text)/)", mimeType)
}

// CheckInstanceLimit judges a size by the instance's setting.
func CheckInstanceLimit(size, limit int64) error {
	if size <= limit {
		return nil
	}
	return &Error{Code: CodeFileTooLarge, Message: "File exceeds maximum size of " + byteText(limit)}
}

// ErrQuota refuses what does not fit into what is left of a quota.
func ErrQuota(left int64) error {
	return &Error{Code: CodeFileTooLarge, Message: "Upload would exceed storage quota. " + byteText(max(left, 0)) + " remaining"}
}

// resourceRule is what files for a resource type may be.
type resourceRule struct {
	types []string
	limit func(mimeType string) int64
	about string
}

func flat(n int64) func(string) int64 { return func(string) int64 { return n } }

var (
	pictures = []string{"image/jpeg", "image/jpg", "image/png", "image/gif", "image/webp"}

	resourceRules = map[string]resourceRule{
		FileUserAvatar:      {pictures, flat(10 * mib), "Images only (JPEG, PNG, GIF, WebP), max 10MB"},
		FileUserBanner:      {pictures, flat(10 * mib), "Images only (JPEG, PNG, GIF, WebP), max 10MB"},
		FileCommunityAvatar: {pictures, flat(25 * mib), "Images only (JPEG, PNG, GIF, WebP), max 25MB"},
		FileCommunityBanner: {pictures, flat(25 * mib), "Images only (JPEG, PNG, GIF, WebP), max 25MB"},
		FileEmoji: {[]string{"image/png", "image/gif", "image/webp"}, flat(256 * kib),
			"PNG, GIF, or WebP only, max 256KB, small square dimensions recommended"},
		FileAttachment: {append([]string{
			"image/svg+xml",
			"video/mp4", "video/webm", "video/ogg", "video/quicktime", "video/x-msvideo",
			"application/pdf", "application/msword",
			"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
			"application/vnd.ms-excel", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
			"application/vnd.ms-powerpoint", "application/vnd.openxmlformats-officedocument.presentationml.presentation",
			"text/plain", "text/csv",
			"application/zip", "application/x-zip-compressed", "application/vnd.rar", "application/x-rar-compressed",
			"application/x-rar", "application/rar", "application/x-7z-compressed", "application/x-compressed",
			"application/gzip", "application/x-gzip", "application/x-tar", "application/x-bzip", "application/x-bzip2",
			"audio/mpeg", "audio/wav", "audio/ogg", "audio/webm", "audio/aac",
		}, pictures...), sizeLimit, "Images (25MB), Videos (500MB), Documents/Archives (100MB), Audio (50MB)"},
	}
)

// CheckResource judges a type and a size by what the file is for. fits tells
// whether the content is what the type says.
func CheckResource(resource, mimeType string, size int64, fits bool) error {
	r, ok := resourceRules[resource]
	if !ok {
		return unprocessable("Invalid resource type: %s", resource)
	}
	if !slices.Contains(r.types, mimeType) || !fits {
		return ErrFileContent(resource)
	}
	if limit := r.limit(mimeType); size > limit {
		return unprocessable("File too large (%.2fMB). Maximum allowed size is %.2fMB for %s", megabytes(size), megabytes(limit), resource)
	}
	return nil
}

// ErrFileContent refuses what is not what the resource type wants.
func ErrFileContent(resource string) error {
	return unprocessable("Invalid file type. %s", resourceRules[resource].about)
}

// CheckPixels refuses pictures that would take too much to decode.
func CheckPixels(width, height int) error {
	if width > 0 && height > 0 && int64(width)*int64(height) <= MaxPixels {
		return nil
	}
	return unprocessable("Image too large (%d x %d pixels). Maximum allowed is %d megapixels", width, height, MaxPixels/1_000_000)
}

var documents = []string{
	"application/pdf", "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"application/vnd.openxmlformats-officedocument.presentationml.presentation",
}

// FileTypeOf is the contract's coarse type.
func FileTypeOf(mimeType string) string {
	switch kind, _, _ := strings.Cut(mimeType, "/"); {
	case kind == "image":
		return "IMAGE"
	case kind == "video":
		return "VIDEO"
	case kind == "audio":
		return "AUDIO"
	case kind == "text", slices.Contains(documents, mimeType):
		return "DOCUMENT"
	default:
		return "OTHER"
	}
}

// ActiveType reports whether a browser would run what a file of the type holds.
func ActiveType(mimeType string) bool {
	switch mimeType {
	case "image/svg+xml", "text/html", "application/xhtml+xml", "text/xml", "application/xml",
		"text/javascript", "application/javascript":
		return true
	default:
		return strings.HasSuffix(mimeType, "+xml")
	}
}

func unprocessable(format string, args ...any) error {
	return &Error{Code: CodeUnprocessable, Message: fmt.Sprintf(format, args...)}
}

func megabytes(n int64) float64 { return float64(n) / mib }

// byteText is a size for people.
func byteText(n int64) string {
	v, unit := float64(n), 0
	for units := len(byteUnits) - 1; v >= 1024 && unit < units; unit++ {
		v /= 1024
	}
	return fmt.Sprintf("%.1f %s", v, byteUnits[unit])
}

var byteUnits = []string{"B", "KB", "MB", "GB", "TB", "PB"}
