package protocol

// UploadPatience is how long a message waits for its next upload before it is
// shown as complete.
const UploadPatience Instant = 10 * 60 * 1000

// AddAttachment gives a message one of the files that it waits for; without a
// file, one of them will not come.
type AddAttachment struct {
	ID     MessageID `path:"id" json:"id" rule:"pathUUID"`
	FileID *FileID   `json:"fileId" rule:"optional,uuid"`
}

// AttachmentAdd is a row of the author's own messages: the owner lets nobody else
// through.
var AttachmentAdd = Define[AddAttachment, Message](Operation{
	Name: "attachment.add", Method: "POST", Path: "/api/messages/{id}/attachments",
	Home: KindChannel, Key: "id", Locate: LocateMessage, Permission: ActionReadMessage, Resource: ResourceMessage,
})

// ExpireUploads asks the owner of a message whether its uploads will come.
type ExpireUploads struct {
	Message MessageID `json:"m"`
}

var _ = wired[ExpireUploads]("expireUploads")
