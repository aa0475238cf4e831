package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/persistence/pgtest"
	"github.com/rookery-chat/rookery/protocol"
)

// pixel is a PNG of one pixel.
var pixel = func() []byte {
	b, err := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
	if err != nil {
		panic(err)
	}
	return b
}()

// uploadBody is a form as the client sends it: the file first.
func uploadBody(part, name, mimeType string, content io.Reader, fields map[string]any) (body io.Reader, contentType string) {
	var head, tail bytes.Buffer
	w := multipart.NewWriter(&head)
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", fmt.Sprintf(`form-data; name="%s"; filename="%s"`, part, name))
	if mimeType != "" {
		h.Set("Content-Type", mimeType)
	}
	_, _ = w.CreatePart(h) // a buffer takes everything
	w2 := multipart.NewWriter(&tail)
	_ = w2.SetBoundary(w.Boundary())
	tail.WriteString("\r\n")
	for name, v := range fields {
		_ = w2.WriteField(name, fmt.Sprint(v))
	}
	_ = w2.Close()
	return io.MultiReader(&head, content, &tail), w.FormDataContentType()
}

// uploader uploads as a user.
type uploader struct {
	t     *testing.T
	n     *node
	token string
}

func (u uploader) try(name, mimeType string, content io.Reader, fields map[string]any) answer {
	u.t.Helper()
	body, kind := uploadBody("file", name, mimeType, content, fields)
	return u.send(body, kind)
}

func (u uploader) send(body io.Reader, kind string) answer {
	u.t.Helper()
	req, err := http.NewRequestWithContext(within(u.t), "POST", u.n.url()+"/api/file-upload", body)
	if err != nil {
		u.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if u.token != "" {
		req.Header.Set("Authorization", "Bearer "+u.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		u.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	return answer{res.StatusCode, string(text)}
}

// must is an upload that has to succeed.
func (u uploader) must(name, mimeType string, content []byte, fields map[string]any) protocol.File {
	u.t.Helper()
	a := u.try(name, mimeType, bytes.NewReader(content), fields)
	var f protocol.File
	if err := json.Unmarshal([]byte(a.body), &f); err != nil || a.status != http.StatusCreated {
		u.t.Fatalf("upload %s: %s", name, a)
	}
	return f
}

func TestFileSmoke(t *testing.T) {
	url := pgtest.URL(t)
	n := startNode(t, "--database-url", url)
	g := newStage(t, url, n)
	s := g.newScene(t, personaOf('m'))
	u := uploader{t, n, s.token}
	f := u.must("a.png", "image/png", pixel, map[string]any{"resourceType": "MESSAGE_ATTACHMENT", "resourceId": s.vars["own"]})
	t.Logf("%+v", f)
	req, _ := http.NewRequestWithContext(within(t), "GET", n.url()+"/api/file/"+f.ID.String(), strings.NewReader(""))
	req.Header.Set("Authorization", "Bearer "+s.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if !bytes.Equal(b, pixel) {
		t.Errorf("%v %q", res, b)
	}
	t.Log(res.Header)
	t.Log(n.problems())
}
