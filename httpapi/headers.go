package httpapi

import (
	"net/http"
	"strings"
)

// securityHeaders are on every response (contract 0.2). Keys are canonical and
// values shared, so that setting them allocates nothing.
var securityHeaders = func() http.Header {
	h := http.Header{}
	for k, v := range map[string]string{
		"Cross-Origin-Opener-Policy":        "same-origin",
		"Cross-Origin-Resource-Policy":      "same-origin",
		"Origin-Agent-Cluster":              "?1",
		"Referrer-Policy":                   "no-referrer",
		"Strict-Transport-Security":         "max-age=31536000; includeSubDomains",
		"X-Content-Type-Options":            "nosniff",
		"X-DNS-Prefetch-Control":            "off",
		"X-Download-Options":                "noopen",
		"X-Frame-Options":                   "SAMEORIGIN",
		"X-Permitted-Cross-Domain-Policies": "none",
		"X-XSS-Protection":                  "0",
		"Access-Control-Allow-Credentials":  "true",
		"Vary":                              "Origin",
	} {
		h.Set(k, v)
	}
	return h
}()

var (
	jsonType = []string{"application/json; charset=utf-8"}
	textType = []string{"text/plain; charset=utf-8"}
	htmlType = []string{"text/html; charset=utf-8"}
)

// DefaultOrigin may read answers when nothing is configured.
const DefaultOrigin = "http://localhost:5173"

// ParseOrigins reads CORS_ORIGIN, a list with commas. set tells whether the
// variable exists at all: when it does not, DefaultOrigin is allowed.
func ParseOrigins(list string, set bool) []string {
	if !set {
		return []string{DefaultOrigin}
	}
	var origins []string
	for o := range strings.SplitSeq(list, ",") {
		if o = strings.TrimSpace(o); o != "" {
			origins = append(origins, o)
		}
	}
	return origins
}

// secure sets what every response has.
func (s *Server) secure(h http.Header, r *http.Request) {
	for k, v := range securityHeaders {
		h[k] = v
	}
	if origin := r.Header.Get("Origin"); origin != "" && s.origins[origin] {
		h["Access-Control-Allow-Origin"] = []string{origin}
	}
}

// preflight answers OPTIONS, before anything else is looked at.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Access-Control-Allow-Methods"] = []string{"GET,HEAD,PUT,PATCH,POST,DELETE"}
	h["Vary"] = []string{"Origin, Access-Control-Request-Headers"}
	if asked := r.Header.Values("Access-Control-Request-Headers"); len(asked) > 0 {
		h["Access-Control-Allow-Headers"] = []string{strings.Join(asked, ",")}
	}
	h["Content-Length"] = []string{"0"}
	w.WriteHeader(http.StatusNoContent)
}
