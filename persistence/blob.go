package persistence

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/gcerrors"

	"github.com/rookery-chat/rookery/protocol"
)

// What an upload to a bucket holds in memory: a part that fills and one on its
// way. Ten thousand parts are more than the largest file.
const (
	blobPart  = 5 << 20
	blobParts = 2

	// blobPatience is how long a read of a storage may take that does not answer.
	blobPatience = time.Minute
)

// ErrNoBlob says that there are no bytes under a name.
var ErrNoBlob = errors.New("no such blob")

// BlobConfig says where bytes of files are stored.
type BlobConfig struct {
	// Dir is the directory for files on disk; it is made if it is not there.
	Dir string
	// URL is the bucket that new files go to: s3://, azblob://, gs:// or file://.
	// Empty: Dir.
	URL string
}

// Blobs are the bytes of files: in a bucket, or in a directory, which all nodes
// of a cluster must see. What was stored on disk before there was a bucket is
// still found there. Safe for concurrent use.
type Blobs struct {
	kind  string // of new files
	main  *blob.Bucket
	local *blob.Bucket
	dirs  map[string]string // of storages that are directories
}

// OpenBlobs opens the storage. It does not ask a bucket whether it is there:
// Reach does.
func OpenBlobs(ctx context.Context, cfg BlobConfig) (*Blobs, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("directory for files: %w", err)
	}
	local, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	b := &Blobs{kind: protocol.StorageLocal, main: local, local: local, dirs: map[string]string{protocol.StorageLocal: dir}}
	if cfg.URL == "" {
		return b, nil
	}
	kind, err := blobKind(cfg.URL)
	if err != nil {
		return nil, errors.Join(err, local.Close())
	}
	if kind == protocol.StorageLocal {
		u, _ := url.Parse(cfg.URL) // blobKind has
		b.dirs[kind] = u.Path
		b.main, err = openDir(u.Path)
		b.local = b.main
		return b, errors.Join(err, local.Close())
	}
	b.kind = kind
	if b.main, err = blob.OpenBucket(ctx, cfg.URL); err != nil {
		return nil, errors.Join(fmt.Errorf("open bucket: %w", err), local.Close())
	}
	return b, nil
}

// blobKind is the storage type that a URL stands for.
func blobKind(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", errors.New("the URL of the bucket is not one") // it may hold a secret
	}
	switch u.Scheme {
	case "s3":
		return protocol.StorageS3, nil
	case "azblob":
		return protocol.StorageAzure, nil
	case "gs":
		return protocol.StorageGCS, nil
	case "file":
		return protocol.StorageLocal, nil
	default:
		return "", fmt.Errorf("a bucket is s3://, azblob://, gs:// or file://, not %q", u.Scheme)
	}
}

func openDir(dir string) (*blob.Bucket, error) {
	b, err := fileblob.OpenBucket(dir, &fileblob.Options{
		CreateDir: true, DirFileMode: 0o700, NoTempDir: true, Metadata: fileblob.MetadataDontWrite,
	})
	if err != nil {
		return nil, fmt.Errorf("open directory for files: %w", err)
	}
	return b, nil
}

// Kind is the storage type of new files.
func (b *Blobs) Kind() string { return b.kind }

// Reach reports why the storage can't be used now; nil if it can.
func (b *Blobs) Reach(ctx context.Context) error {
	ok, err := b.main.IsAccessible(ctx)
	switch {
	case err != nil:
		return oneLine(fmt.Errorf("reach bucket: %w", err))
	case !ok:
		return errors.New("reach bucket: it is not there")
	}
	return nil
}

// Close lets go of the storage.
func (b *Blobs) Close() error {
	err := b.main.Close()
	if b.local != b.main {
		err = errors.Join(err, b.local.Close())
	}
	return err
}

// bucket is the storage of a type; nil when this server has none.
func (b *Blobs) bucket(kind string) *blob.Bucket {
	switch kind {
	case b.kind:
		return b.main
	case protocol.StorageLocal:
		return b.local
	default:
		return nil
	}
}

// NewBlobPath is a name that nobody can guess, in one of 256 folders.
func NewBlobPath() string {
	var r [16]byte
	_, _ = rand.Read(r[:])
	name := hex.EncodeToString(r[:])
	return name[:2] + "/" + name[2:]
}

// ThumbnailPath is the name of a file's thumbnail.
func ThumbnailPath(id protocol.FileID) string { return thumbnailFolder + id.String() + ".jpg" }

const thumbnailFolder = "thumbnails/"

// Create writes new bytes to the storage of a type. They are there when Close
// returns without an error, all or none. When ctx ends before, a directory keeps
// nothing, and a bucket may keep what no path leads to until it is told to clean up.
func (b *Blobs) Create(ctx context.Context, kind, path string) (io.WriteCloser, error) {
	bucket := b.bucket(kind)
	if bucket == nil {
		return nil, protocol.ErrFileUnsupported
	}
	w, err := bucket.NewWriter(ctx, path, &blob.WriterOptions{
		ContentType: "application/octet-stream", BufferSize: blobPart, MaxConcurrency: blobParts,
	})
	if err != nil {
		return nil, oneLine(fmt.Errorf("write blob: %w", err))
	}
	return w, nil
}

// Delete removes bytes; what is not there is no error.
func (b *Blobs) Delete(ctx context.Context, kind, path string) error {
	bucket := b.bucket(kind)
	if bucket == nil {
		return fmt.Errorf("delete blob: no storage of type %s", kind)
	}
	if err := bucket.Delete(ctx, path); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return oneLine(fmt.Errorf("delete blob: %w", err))
	}
	return nil
}

// StoredBlob is something in a storage.
type StoredBlob struct {
	Path     string
	Modified time.Time
}

// List reads what is in a storage below a prefix, in pieces, until each
// fails.
func (b *Blobs) List(ctx context.Context, kind, prefix string, each func([]StoredBlob) error) error {
	bucket := b.bucket(kind)
	if bucket == nil {
		return fmt.Errorf("list blobs: no storage of type %s", kind)
	}
	for token := blob.FirstPageToken; token != nil; {
		page, next, err := bucket.ListPage(ctx, token, listedBlobs, &blob.ListOptions{Prefix: prefix})
		if err != nil {
			return oneLine(fmt.Errorf("list blobs: %w", err))
		}
		list := make([]StoredBlob, 0, len(page))
		for _, o := range page {
			list = append(list, StoredBlob{Path: o.Key, Modified: o.ModTime})
		}
		if err := each(list); err != nil {
			return err
		}
		if token = next; len(token) == 0 {
			break
		}
	}
	return nil
}

const listedBlobs = 1000

// Kinds are the storages that this server has.
func (b *Blobs) Kinds() []string {
	if b.kind == protocol.StorageLocal {
		return []string{b.kind}
	}
	return []string{b.kind, protocol.StorageLocal}
}

// LocalPath is where the bytes are on this machine's disk, if they are there.
func (b *Blobs) LocalPath(kind, path string) (string, bool) {
	dir, ok := b.dirs[kind]
	if !ok {
		return "", false
	}
	full := filepath.Join(dir, filepath.FromSlash(path))
	if _, err := os.Stat(full); err != nil {
		return "", false
	}
	return full, true
}

// Exists reports whether there are bytes.
func (b *Blobs) Exists(ctx context.Context, kind, path string) (bool, error) {
	bucket := b.bucket(kind)
	if bucket == nil {
		return false, protocol.ErrFileUnsupported
	}
	ok, err := bucket.Exists(ctx, path)
	if err != nil {
		return false, oneLine(fmt.Errorf("look for blob: %w", err))
	}
	return ok, nil
}

// Size is how many bytes there are, or ErrNoBlob.
func (b *Blobs) Size(ctx context.Context, kind, path string) (int64, error) {
	bucket := b.bucket(kind)
	if bucket == nil {
		return 0, protocol.ErrFileUnsupported
	}
	a, err := bucket.Attributes(ctx, path)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return 0, ErrNoBlob
	case err != nil:
		return 0, oneLine(fmt.Errorf("look for blob: %w", err))
	}
	return a.Size, nil
}

// Open reads bytes from an offset on. Where there are none it fails with
// ErrNoBlob, of a storage that this server does not have with
// protocol.ErrFileUnsupported.
func (b *Blobs) Open(ctx context.Context, kind, path string, offset, size int64) (*BlobReader, error) {
	bucket := b.bucket(kind)
	if bucket == nil {
		return nil, protocol.ErrFileUnsupported
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &BlobReader{ctx: ctx, cancel: cancel, bucket: bucket, path: path, size: size, at: offset}
	r.patience = time.AfterFunc(blobPatience, cancel)
	if err := r.open(); err != nil {
		r.Close()
		return nil, err
	}
	r.patience.Stop()
	return r, nil
}

// BlobReader reads bytes of a file wherever it is set to; the storage is asked
// only for what is read. It is for one goroutine.
type BlobReader struct {
	ctx      context.Context
	cancel   context.CancelFunc
	patience *time.Timer
	bucket   *blob.Bucket
	path     string
	size     int64
	at       int64 // the next byte
	r        *blob.Reader
	from     int64 // the next byte of r
}

func (r *BlobReader) open() error {
	if r.r != nil {
		_ = r.r.Close() // of reading
		r.r = nil
	}
	opened, err := r.bucket.NewRangeReader(r.ctx, r.path, r.at, -1, nil)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return ErrNoBlob
	case err != nil:
		return oneLine(fmt.Errorf("read blob: %w", err))
	}
	r.r, r.from = opened, r.at
	return nil
}

// Read implements io.Reader.
func (r *BlobReader) Read(p []byte) (int, error) {
	if r.at >= r.size {
		return 0, io.EOF
	}
	r.patience.Reset(blobPatience)
	defer r.patience.Stop()
	if r.r == nil || r.from != r.at {
		if err := r.open(); err != nil {
			return 0, err
		}
	}
	n, err := r.r.Read(p)
	r.at += int64(n)
	r.from = r.at
	return n, err
}

// Seek implements io.Seeker.
func (r *BlobReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	r.at = offset
	return offset, nil
}

// Close ends reading.
func (r *BlobReader) Close() {
	r.patience.Stop()
	r.cancel()
	if r.r != nil {
		_ = r.r.Close() // of reading
	}
}
