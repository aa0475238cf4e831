package httpapi

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// zeros never end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Memory is flat while a large file goes up and down. It is no parallel test:
// others would be measured with it.
func TestFileMemory(t *testing.T) {
	size := int64(500 << 20)
	if testing.Short() {
		size = 50 << 20
	}
	c := newCabinet(t)
	head := "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00"
	up := func(n int64) answer {
		before, after, _ := strings.Cut(form("a.mp4", "video/mp4", []byte("@"), protocol.FileClip), "@")
		body := io.MultiReader(strings.NewReader(before+head), io.LimitReader(zeros{}, n-int64(len(head))), strings.NewReader(after))
		req, err := http.NewRequest(http.MethodPost, "http://"+c.addr+"/api/file-upload", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer good")
		req.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer{status: res.StatusCode, body: string(text)}
	}
	up(1 << 20) // everything is warm
	peak := watchHeap()
	// Clips are not uploaded, but that is told at the end.
	if a := up(size); a.status != 422 || c.files() != 0 {
		t.Fatalf("upload: %d %s, %d files", a.status, a.body, c.files())
	}
	grewUp := peak()

	id, path := protocol.FileID(protocol.NewRandomID[struct{}]()), persistence.NewBlobPath()
	w, err := c.s.cfg.Blobs.Create(t.Context(), c.s.cfg.Blobs.Kind(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(w, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	by := adaCall.UserID
	if err := c.db.StoreFile(t.Context(), protocol.File{ID: id, Filename: "a", MimeType: "image/png", FileType: "IMAGE", Size: size, Checksum: "x",
		UploadedByID: &by, UploadedAt: protocol.InstantOf(time.Now()), ResourceType: protocol.FileUserAvatar, StorageType: c.s.cfg.Blobs.Kind()}, path); err != nil {
		t.Fatal(err)
	}
	peak = watchHeap()
	req, err := http.NewRequest(http.MethodGet, "http://"+c.addr+"/api/file/"+id.String(), bytes.NewReader(nil))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer good")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if n, err := io.Copy(io.Discard, res.Body); err != nil || n != size {
		t.Fatalf("%d bytes, %v", n, err)
	}
	grewDown := peak()
	t.Logf("%d MiB up with %d KiB more of heap, down with %d KiB more", size>>20, grewUp>>10, grewDown>>10)
	if limit := uint64(32 << 20); grewUp > limit || grewDown > limit {
		t.Errorf("the heap grew by %d KiB and %d KiB", grewUp>>10, grewDown>>10)
	}
}

// watchHeap looks at the heap until the function is called, which tells by how
// much it was more at most.
func watchHeap() func() uint64 {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	runtime.GC()
	before := heap()
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		top := before
		for {
			select {
			case <-stop:
				most <- top
				return
			case <-time.After(20 * time.Millisecond):
				top = max(top, heap())
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-most - before
	}
}
