package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime/multipart"
	"net/textproto"
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
