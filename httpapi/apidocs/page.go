package apidocs

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// Page is the documentation page and the Content-Security-Policy under which it works: only its
// own style and script, and only the document is fetched.
func Page() (html []byte, policy string, err error) {
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, "", err
	}
	var page bytes.Buffer
	err = t.Execute(&page, map[string]any{
		"CSS": template.CSS(pageCSS), "JS": template.JS(pageJS), // #nosec G203 -- embedded, not input
	})
	return page.Bytes(), "default-src 'none'; script-src '" + digest(pageJS) + "'; style-src '" + digest(pageCSS) +
		"'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'", err
}

// digest is the source expression of an inline script or style.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
