package httpapi

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// Cookies of a login, as existing clients expect them.
const (
	accessCookie  = "access_token"
	refreshCookie = "refresh_token"
	accessAge     = protocol.AccessLifetime
	refreshAge    = protocol.RefreshLifetime
)

// setCookie writes a cookie in the contract's form; http.SetCookie would order
// the attributes differently.
func (s *Server) setCookie(h http.Header, name, value string, age time.Duration, sameSite string) {
	var b strings.Builder
	b.WriteString(name + "=" + value)
	b.WriteString("; Max-Age=" + strconv.Itoa(int(age.Seconds())) + "; Path=/; Expires=")
	b.WriteString(s.now().Add(age).UTC().Format(http.TimeFormat))
	b.WriteString("; HttpOnly")
	if s.cfg.SecureCookies {
		b.WriteString("; Secure")
	}
	b.WriteString("; SameSite=" + sameSite)
	h.Add("Set-Cookie", b.String())
}

func clearCookie(h http.Header, name string) {
	h.Add("Set-Cookie", name+"=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
}

// cookie reads the first cookie of a name; empty when there is none.
func cookie(r *http.Request, name string) string {
	for _, line := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			key, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if !ok || key != name {
				continue
			}
			value = strings.Trim(value, `"`)
			if plain, err := url.PathUnescape(value); err == nil {
				return plain
			}
			return value
		}
	}
	return ""
}
