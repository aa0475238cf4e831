package sfu

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// Forwarder passes the signalling of browsers on to the server that has their room, so
// that one origin is enough for them. Media goes to that server's own port.
type Forwarder struct {
	Server *Server
	// Locate finds the URL of the server that has a room.
	Locate func(ctx context.Context, room string) (string, error)
	Log    *slog.Logger
}

// direct reaches media servers of this cluster: never through the proxy that the
// environment may name for the outside.
var direct = &http.Transport{DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute}

// ServeHTTP forwards one request or websocket. Whose token was not made here does not
// get further.
func (f *Forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, err := f.Server.Verify(tokenOf(r))
	if err != nil || token.Grant.Room == "" {
		http.Error(w, "invalid token", http.StatusUnauthorized)
		return
	}
	if release := protocol.PeerOf(r.Context()).Hold; release != nil {
		defer release(protocol.UserID{})()
	}
	at, err := f.Locate(r.Context(), token.Grant.Room)
	if err == nil && at == "" {
		err = errors.New("there is no LiveKit server at the moment")
	}
	var to *url.URL
	if err == nil {
		to, err = url.Parse(at)
	}
	if err != nil {
		f.Log.Warn("signalling of a room can't be forwarded", "room", token.Grant.Room, "error", err)
		http.Error(w, "voice is not available", http.StatusServiceUnavailable)
		return
	}
	proxy := httputil.ReverseProxy{
		Transport: direct,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.SetXForwarded()
			p.Out.Header.Del("Cookie") // which is for this server
		},
		ModifyResponse: func(res *http.Response) error {
			for name := range res.Header {
				if strings.HasPrefix(name, "Access-Control-") { // this server has said what it allows
					res.Header.Del(name)
				}
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			f.Log.Debug("signalling of a room broke off", "room", token.Grant.Room, "error", err)
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	proxy.ServeHTTP(w, r)
}

func tokenOf(r *http.Request) string {
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return bearer
	}
	return r.URL.Query().Get("access_token")
}
