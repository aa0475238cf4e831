package httpapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
)

//go:embed front.html
var frontHTML string

//go:embed front.css
var frontCSS string

// frontPage is what a person sees who opens the server in a browser.
type frontPage struct {
	template *template.Template
	policy   string
	version  string
}

func newFrontPage(version string) *frontPage {
	sum := sha256.Sum256([]byte(frontCSS))
	return &frontPage{
		template: template.Must(template.New("front").Parse(frontHTML)),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
		version: version,
	}
}

func (s *Server) serveFront(x *exchange) error {
	info := s.instance(x.r.Context())
	if info.Name == "" {
		info.Name = "Rookery"
	}
	var page bytes.Buffer
	err := s.front.template.Execute(&page, map[string]any{
		"Name": info.Name, "NeedsSetup": info.NeedsSetup, "Version": s.front.version,
		"Origin": s.origin(x.r), "CSS": template.CSS(frontCSS), // #nosec G203 -- embedded, not input
	})
	if err != nil {
		return err
	}
	h := x.w.Header()
	h["Content-Type"] = htmlType
	h["Content-Security-Policy"] = []string{s.front.policy}
	h["Cache-Control"] = []string{"no-cache"}
	x.w.WriteHeader(http.StatusOK)
	_, err = x.w.Write(page.Bytes())
	return err
}

// origin is the address under which the client reached this server.
func (s *Server) origin(r *http.Request) string {
	if r.TLS != nil || s.cfg.SecureCookies {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
