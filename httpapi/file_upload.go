package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"image"
	_ "image/gif"  // what pictures are looked at
	_ "image/jpeg" // as well
	_ "image/png"  // as well
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"sync"
	"time"

	_ "golang.org/x/image/webp" // as well

	"github.com/rookery-chat/rookery/httpapi/picture"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

const (
	// maxFieldSize bounds the fields beside the file, maxParts how many there may be.
	maxFieldSize = 4 << 10
	maxParts     = 16
	// maxBetween bounds what is read from one part to the next: headers.
	maxBetween = 32 << 10

	// uploadStep is how long a client may take for uploadPiece: about 4 KiB/s.
	uploadStep  = 30 * time.Second
	uploadPiece = 128 << 10

	// userUploads and nodeUploads bound what is received at the same time, of a
	// user and in all; uploadWait is how long others wait for their turn.
	userUploads = 10
	nodeUploads = 64
	uploadWait  = 30 * time.Second

	// maxPictureHeader is how far the size of a picture is looked for.
	maxPictureHeader = 4 << 20
	discardTimeout   = 10 * time.Second
)

var (
	errManyUploads     = &protocol.Error{Code: protocol.CodeRateLimited, Message: "Too many uploads at once, please retry", RetryAfter: 5 * time.Second}
	errUnexpectedField = protocol.BadRequest("Unexpected field")
	errUploadAborted   = protocol.BadRequest("request aborted")
	errBadMultipart    = protocol.BadRequest("Multipart: body is not well-formed")
	errManyParts       = protocol.BadRequest("Too many parts")
	errMoreRoom        = protocol.Unavailable("The limits have changed meanwhile, please retry")
	errFieldTooLong    = protocol.BadRequest("Field value too long")
)

// upload receives a file. Its bytes go to the storage while they are hashed, without
// what pictures tell about people, and are taken away again when anything is wrong;
// they count when the row is stored.
func (s *Server) upload(x *exchange) error {
	release, err := s.uploads.take(x.r.Context(), x.caller.UserID)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithCancel(x.r.Context())
	defer cancel() // takes away what is not complete
	room, err := s.cfg.DB.UploadRoom(ctx, x.caller.UserID)
	if err != nil {
		return err
	}
	u := &upload{s: s, x: x, ctx: ctx, room: room, sum: sha256.New(), fields: map[string]string{}}
	defer u.discard()
	if err := u.receive(); err != nil {
		return err
	}
	f, err := u.judge()
	if err != nil {
		return err
	}
	if err := u.store(f); err != nil {
		return err
	}
	if f.FileType == "VIDEO" && s.cfg.VideoStored != nil {
		if err := s.cfg.VideoStored(context.WithoutCancel(ctx), f.ID); err != nil {
			x.log(slog.LevelWarn, "thumbnail is left for the sweep", err)
		}
	}
	return writeReply(x.w, x.r, protocol.FileUpload.SuccessStatus(), f)
}

// upload is one file on its way.
type upload struct {
	s    *Server
	x    *exchange
	ctx  context.Context //nolint:containedctx // of the request that it is
	room persistence.UploadRoom

	fields  map[string]string
	there   bool // the file was there
	name    string
	kind    string // media type
	head    []byte // the beginning of the file
	sent    int64  // bytes that came
	size    int64  // bytes that are stored: of pictures less, see package picture
	sum     hash.Hash
	over    bool   // more than may be kept
	broken  bool   // no picture of its type
	path    string // in the storage
	w       io.WriteCloser
	abort   context.CancelFunc // of w; nil: nothing is stored
	stored  bool               // the bytes are complete in the storage
	settled bool               // and somebody owns them
}

// receive reads the parts: the file, and fields before or behind it.
func (u *upload) receive() (err error) {
	if kind, _ := mediaType(u.x.r); kind != "multipart/form-data" {
		return protocol.ErrFileRequired
	}
	rc := http.NewResponseController(u.x.w)
	body := &paced{r: u.x.r.Body, rc: rc, budget: maxBetween, step: u.s.uploadStep}
	defer func() {
		var end time.Time // a deadline would end what is done with the bytes
		if err != nil {   // what still comes is not waited for
			end = time.Now().Add(u.s.uploadStep)
			u.x.w.Header()["Connection"] = []string{"close"}
		}
		_ = rc.SetReadDeadline(end)
		_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	}()
	_, params, err := mime.ParseMediaType(u.x.r.Header.Get("Content-Type"))
	if err != nil {
		return errBadMultipart
	}
	u.x.r.Body = io.NopCloser(newHeads(body, params["boundary"]))
	parts, err := u.x.r.MultipartReader()
	if err != nil {
		return errBadMultipart
	}
	for range maxParts {
		body.budget = maxBetween
		part, err := parts.NextRawPart()
		if err == io.EOF { //nolint:errorlint // a wrapped one is a body that was cut off
			return nil
		}
		if err == nil {
			err = u.part(part, body)
		}
		if err != nil {
			return receiveFault(err)
		}
	}
	return errManyParts
}

// receiveFault tells the client's faults from those of the storage.
func receiveFault(err error) error {
	var known *protocol.Error
	var broken *storeError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &broken):
		return broken.err
	case errors.Is(err, errBudget):
		return errBadMultipart
	default: // the connection is gone, too slow, or what came is no multipart
		return errUploadAborted
	}
}

// storeError is a failure of the storage, not of the client.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }

func (u *upload) part(part *multipart.Part, body *paced) error {
	if part.FileName() == "" {
		body.budget = maxFieldSize + maxBetween
		value, err := io.ReadAll(io.LimitReader(part, maxFieldSize+1))
		switch {
		case err != nil:
			return err
		case len(value) > maxFieldSize:
			return errFieldTooLong
		}
		u.fields[part.FormName()] = string(value)
		return nil
	}
	if part.FormName() != protocol.FileUpload.Multipart || u.there {
		return errUnexpectedField
	}
	u.there, u.name = true, cleanFilename(part.FileName())
	body.budget = protocol.MaxUpload + maxBetween
	return u.file(part)
}

// copyBuffers are what files go through.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// file takes the bytes. They are stored as long as they may count, and hashed;
// what is over any limit is only counted, because the answer says how large it
// was.
func (u *upload) file(part *multipart.Part) error {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	sent := &counted{r: part}
	n, err := fill(sent, (*buf)[:sniffed])
	if err != nil && err != io.EOF { //nolint:errorlint // a wrapped EOF is a body that was cut off
		return err
	}
	u.head = bytes.Clone((*buf)[:n])
	u.kind = declaredType(part.Header.Get("Content-Type"), u.head)
	in := io.MultiReader(bytes.NewReader(u.head), sent)
	if stripped := picture.Strip(u.kind, in); stripped != nil {
		err = u.take(stripped, sent, *buf)
	} else {
		err = u.take(in, sent, *buf)
	}
	if errors.Is(err, picture.ErrFormat) {
		u.discard()
		u.broken = true
		_, err = io.Copy(io.Discard, sent) // the answer may be that it is too large
	}
	u.sent = sent.n
	return err
}

func (u *upload) take(in io.Reader, sent *counted, buf []byte) error {
	for {
		n, err := fill(in, buf)
		over := err == io.EOF //nolint:errorlint // as above
		if err != nil && !over {
			return err
		}
		u.size += int64(n)
		if u.size > u.room.Left || sent.n > u.room.Limit {
			u.discard()
			u.over = true
		} else if err := u.keep(buf[:n]); err != nil {
			return &storeError{err}
		}
		if over {
			return nil
		}
	}
}

// counted counts what comes of a file, and ends what is too large for any.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.n += int64(n); c.n > protocol.MaxUpload {
		return n, protocol.ErrFileTooLarge
	}
	return n, err
}

// fill reads until the buffer is full or something ends it.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

// keep gives a piece to the storage, which is opened for the first one.
func (u *upload) keep(p []byte) error {
	_, _ = u.sum.Write(p) // never fails
	if u.w == nil {
		var ctx context.Context
		ctx, u.abort = context.WithCancel(u.ctx)
		u.path = persistence.NewBlobPath()
		w, err := u.s.cfg.Blobs.Create(ctx, u.s.cfg.Blobs.Kind(), u.path)
		if err != nil {
			return err
		}
		u.w = w
	}
	_, err := u.w.Write(p)
	return err
}

// discard takes away what is stored and nobody owns. A directory forgets what is
// not complete; a bucket keeps parts of it, so there it is completed first.
func (u *upload) discard() {
	if u.abort == nil || u.settled {
		return
	}
	if u.w != nil && !u.stored {
		if u.s.cfg.Blobs.Kind() == protocol.StorageLocal {
			u.abort()
		}
		u.stored = u.w.Close() == nil
	}
	u.abort()
	if u.stored {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), discardTimeout)
		defer cancel()
		if err := u.s.cfg.Blobs.Delete(ctx, u.s.cfg.Blobs.Kind(), u.path); err != nil {
			u.x.log(slog.LevelWarn, "refused upload is left for the sweep", err)
		}
	}
	u.w, u.abort, u.stored = nil, nil, false
}

// judge takes the upload through the contract's checks, in its order, and makes
// the row.
func (u *upload) judge() (*protocol.File, error) {
	if !u.there {
		return nil, protocol.ErrFileRequired
	}
	if err := protocol.CheckFileType(u.kind, u.sent); err != nil {
		return nil, err
	}
	grant, err := u.authorise()
	if err != nil {
		return nil, err
	}
	room, err := u.s.cfg.DB.UploadRoom(u.ctx, u.x.caller.UserID)
	if err != nil {
		return nil, err
	}
	if err := protocol.CheckInstanceLimit(u.sent, room.Limit); err != nil {
		return nil, err
	}
	if u.size > room.Left {
		return nil, protocol.ErrQuota(room.Left)
	}
	resource := u.fields["resourceType"]
	if err := protocol.CheckResource(resource, u.kind, u.sent, !u.broken && fits(u.kind, u.head)); err != nil {
		return nil, err
	}
	if u.over { // there was no room when it came, and now there is
		return nil, errMoreRoom
	}
	by := u.x.caller.UserID
	return &protocol.File{
		ID: protocol.FileID(protocol.NewRandomID[struct{}]()), Filename: u.name, MimeType: u.kind, FileType: protocol.FileTypeOf(u.kind), Size: u.size,
		Checksum: hex.EncodeToString(u.sum.Sum(nil)), UploadedByID: &by, UploadedAt: protocol.InstantOf(u.s.now()),
		ResourceType: resource, UserID: grant.UserID, CommunityID: grant.CommunityID, MessageID: grant.MessageID,
		StorageType: u.s.cfg.Blobs.Kind(),
	}, nil
}

// authorise has the fields judged, and whether the caller may upload for what
// they name.
func (u *upload) authorise() (*protocol.UploadGrant, error) {
	known := map[string]string{}
	for _, name := range []string{"resourceType", "resourceId"} {
		if v, ok := u.fields[name]; ok {
			known[name] = v
		}
	}
	var err error
	if u.x.body, err = json.Marshal(known); err != nil {
		return nil, err
	}
	reply, err := u.s.perform(u.x, &protocol.FileUpload.Operation)
	if err != nil {
		return nil, err
	}
	grant, ok := reply.(*protocol.UploadGrant)
	if !ok {
		return nil, errors.New("no grant of an upload")
	}
	return grant, nil
}

// store completes the bytes and then the row: a row without bytes is never seen.
func (u *upload) store(f *protocol.File) error {
	if u.w == nil { // an empty file
		if err := u.keep(nil); err != nil {
			return err
		}
	}
	if err := u.w.Close(); err != nil {
		return err
	}
	u.stored = true
	if err := u.checkPicture(f); err != nil {
		return err
	}
	err := u.s.cfg.DB.StoreFile(u.ctx, *f, u.path)
	var known *protocol.Error
	// Nobody knows whether a row is there whose storing failed: should it not be,
	// the sweep finds the bytes.
	u.settled = err == nil || !errors.As(err, &known)
	return err
}

// checkPicture reads the header of a picture: it must be one, and not so large
// that decoding it would be an attack. Nothing is decoded.
func (u *upload) checkPicture(f *protocol.File) error {
	if f.FileType != "IMAGE" || f.MimeType == "image/svg+xml" {
		return nil
	}
	r, err := u.s.cfg.Blobs.Open(u.ctx, f.StorageType, u.path, 0, f.Size)
	if err != nil {
		return err
	}
	defer r.Close()
	c, _, err := image.DecodeConfig(io.LimitReader(r, maxPictureHeader))
	if err != nil {
		return protocol.ErrFileContent(f.ResourceType)
	}
	return protocol.CheckPixels(c.Width, c.Height)
}
