package protocol

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"strconv"
	"time"
)

// Resource types: what a file was uploaded for.
const (
	FileUserAvatar      = "USER_AVATAR"
	FileUserBanner      = "USER_BANNER"
	FileCommunityBanner = "COMMUNITY_BANNER"
	FileCommunityAvatar = "COMMUNITY_AVATAR"
	FileAttachment      = "MESSAGE_ATTACHMENT"
	FileEmoji           = "CUSTOM_EMOJI"
	FileClip            = "REPLAY_CLIP"
)

// Where bytes are stored.
const (
	StorageLocal = "LOCAL"
	StorageS3    = "S3"
	StorageAzure = "AZURE_BLOB"
	StorageGCS   = "GCS"
)

// Failures of files with the contract's texts.
var (
	ErrFileNotFound    = NotFound("File not found")
	ErrFileDenied      = Forbidden("Access denied")
	ErrNoThumbnail     = NotFound("No thumbnail available for this file")
	ErrForeignFile     = Forbidden("You can only delete your own files")
	ErrFileRequired    = &Error{Code: CodeUnprocessable, Message: "File is required"}
	ErrFileTooLarge    = &Error{Code: CodeFileTooLarge, Message: "File too large"}
	ErrFileUnsupported = &Error{Code: CodeUnsupported, Message: "Only local file storage is supported at this time"}
)

// File is what clients get of an upload.
type File struct {
	ID           FileID       `json:"id"`
	Filename     string       `json:"filename"`
	MimeType     string       `json:"mimeType"`
	FileType     string       `json:"fileType"`
	Size         int64        `json:"size"` // bytes
	Checksum     string       `json:"checksum"`
	UploadedByID *UserID      `json:"uploadedById"`
	UploadedAt   Instant      `json:"uploadedAt"`
	DeletedAt    *Instant     `json:"deletedAt"`
	ResourceType string       `json:"resourceType"`
	UserID       *UserID      `json:"fileUserId"`
	CommunityID  *CommunityID `json:"fileCommunityId"`
	MessageID    *MessageID   `json:"fileMessageId"`
	StorageType  string       `json:"storageType"`
}

// UploadFile is the fields beside the bytes of an upload.
type UploadFile struct {
	ResourceType string `json:"resourceType" rule:"enum=USER_AVATAR;USER_BANNER;COMMUNITY_BANNER;COMMUNITY_AVATAR;MESSAGE_ATTACHMENT;CUSTOM_EMOJI;REPLAY_CLIP,nonempty"`
	ResourceID   string `json:"resourceId" rule:"optional,string"` // empty: of nothing yet
}

// UploadGrant is leave to store an upload; at most one of the owners is set.
type UploadGrant struct {
	UserID      *UserID
	CommunityID *CommunityID
	MessageID   *MessageID
}

// UploadForMessage asks whether the caller may upload for a message: one of his
// own, where he may still write.
type UploadForMessage struct {
	MessageID MessageID `path:"messageId" json:"messageId" rule:"pathUUID"`
}

// UploadForCommunity asks whether the caller may upload for a community.
type UploadForCommunity struct {
	CommunityID CommunityID `path:"communityId" json:"communityId" rule:"pathUUID"`
}

// DeleteFile marks an upload of the caller's as deleted.
type DeleteFile struct {
	ID FileID `path:"id" json:"id" rule:"pathUUID"`
}

// GetFile asks for a file. The type is for its content, its thumbnail, what is
// told about it, and a link to it.
type GetFile struct {
	ID FileID `path:"id" json:"id" rule:"pathUUID"`
}

// FileGrant is leave to send a file, and where it is.
type FileGrant struct {
	File      File
	Path      string // in the storage
	Thumbnail string // likewise; empty: there is none
}

// FileMetadata is what is told about a file.
type FileMetadata struct {
	ID           FileID `json:"id"`
	Filename     string `json:"filename"`
	MimeType     string `json:"mimeType"`
	FileType     string `json:"fileType"`
	Size         int64  `json:"size"`
	HasThumbnail bool   `json:"hasThumbnail"`
}

// SignedURL is a link to a file for clients that can send no token with it.
type SignedURL struct {
	URL       string  `json:"url"`
	ExpiresAt Instant `json:"expiresAt"`
}

// Rows of files. Over REST those that serve one have ways of their own to find
// out who asks: signed links as well.
var (
	FileUpload = Define[UploadFile, UploadGrant](Operation{
		Name: "file.upload", Method: "POST", Path: "/api/file-upload", RESTOnly: true, Home: KindEdge,
		Shows: reflect.TypeFor[File](), Multipart: "file",
	})
	FileForMessage = Define[UploadForMessage, None](Operation{
		Name: "file.forMessage", Method: "GET", Path: "/api/file-upload/message/{messageId}", Status: 204,
		Home: KindChannel, Key: "messageId", Locate: LocateMessage, Permission: ActionCreateMessage, Resource: ResourceMessage,
	})
	FileForCommunity = Define[UploadForCommunity, None](Operation{
		Name: "file.forCommunity", Method: "GET", Path: "/api/file-upload/community/{communityId}", Status: 204,
		Home: KindCommunity, Key: "communityId", Permission: ActionUpdateCommunity, Resource: ResourceCommunity,
	})
	FileDelete = Define[DeleteFile, File](Operation{
		Name: "file.delete", Method: "DELETE", Path: "/api/file-upload/{id}", Home: KindEdge,
	})
	FileGet = Define[GetFile, FileGrant](Operation{
		Name: "file.get", Method: "GET", Path: "/api/file/{id}", RESTOnly: true, Home: KindEdge,
		Shows: reflect.TypeFor[None](), Serves: "application/octet-stream",
	})
	FileThumbnail = Define[GetFile, FileGrant](Operation{
		Name: "file.thumbnail", Method: "GET", Path: "/api/file/{id}/thumbnail", RESTOnly: true, Home: KindEdge,
		Shows: reflect.TypeFor[None](), Serves: "image/jpeg",
	})
	FileMetadataGet = Define[GetFile, FileMetadata](Operation{
		Name: "file.metadata", Method: "GET", Path: "/api/file/{id}/metadata", Home: KindEdge,
	})
	FileSign = Define[GetFile, SignedURL](Operation{
		Name: "file.signedUrl", Method: "GET", Path: "/api/file/{id}/signed-url", Home: KindEdge,
	})
)

// FileChanged tells the owner of a message that something about one of its files
// is not as it was: it has a thumbnail now, or was deleted. It may be lost; then
// the message shows it after it was loaded again.
type FileChanged struct {
	Message MessageID `json:"m"`
}

var _ = wired[FileChanged]("fileChanged")

// SignedURLSeconds is how long a signed link is good.
const SignedURLSeconds = 3600

// FileSigner makes and checks the signatures of links. All nodes have the same
// key.
type FileSigner []byte

// Sign is the signature of a link that acts as the user until exp, in Unix
// seconds.
func (k FileSigner) Sign(file FileID, user UserID, exp int64) string {
	return hex.EncodeToString(k.sum(file.String(), user.String(), strconv.FormatInt(exp, 10)))
}

// Verify reports whether a signature is the one of the link, in constant time.
func (k FileSigner) Verify(sig, file, user, exp string) bool {
	got, err := hex.DecodeString(sig)
	return err == nil && len(k) > 0 && hmac.Equal(got, k.sum(file, user, exp))
}

func (k FileSigner) sum(file, user, exp string) []byte {
	mac := hmac.New(sha256.New, k)
	mac.Write([]byte(file + ":" + user + ":" + exp))
	return mac.Sum(nil)
}

// Link is a signed link to a file.
func (k FileSigner) Link(file FileID, user UserID, now time.Time) *SignedURL {
	exp := now.Unix() + SignedURLSeconds
	return &SignedURL{
		URL: "/api/file/" + file.String() + "?sig=" + k.Sign(file, user, exp) + "&exp=" + strconv.FormatInt(exp, 10) +
			"&uid=" + user.String(),
		ExpiresAt: InstantOf(time.Unix(exp, 0)),
	}
}
