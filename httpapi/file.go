package httpapi

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/rookery-chat/rookery/protocol"
)

// Failures of links and of requests for files, with the contract's texts.
var (
	errHalfSigned  = protocol.Unauthorized("Missing signed URL parameters")
	errBadSigned   = protocol.Unauthorized("Invalid signed URL")
	errSigned      = protocol.Unauthorized("Invalid or expired signed URL")
	errSignedUser  = protocol.Unauthorized("User not found or banned")
	errFileNoToken = protocol.Unauthorized("Authentication required")
)

// fileHandler is the handler of a row that receives or sends bytes of files; nil
// for other rows.
func (s *Server) fileHandler(op *protocol.Operation) handler {
	var h handler
	switch op.Name {
	case protocol.FileUpload.Name:
		h = s.upload
	case protocol.FileGet.Name:
		h = s.serveFile
	case protocol.FileThumbnail.Name:
		h = s.serveThumbnail
	default:
		return nil
	}
	if s.cfg.DB == nil || s.cfg.Blobs == nil {
		return func(*exchange) error { return protocol.ErrUnavailable }
	}
	return h
}

// fileAuth is how the routes that media elements use find out who asks; nil for
// others.
func (s *Server) fileAuth(op *protocol.Operation) func(*exchange) (protocol.Caller, error) {
	switch op.Name {
	case protocol.FileGet.Name, protocol.FileThumbnail.Name, protocol.FileMetadataGet.Name:
		return s.authenticateFile
	}
	return nil
}

// authenticateFile tries in the contract's order: a signed link, a token, the
// cookie. A link counts even when there is a token; a token that is worth
// nothing counts as none.
func (s *Server) authenticateFile(x *exchange) (protocol.Caller, error) {
	q := x.r.URL.Query()
	if q.Has("sig") || q.Has("exp") || q.Has("uid") {
		return s.authenticateLink(x, q.Get("sig"), q.Get("exp"), q.Get("uid"))
	}
	if s.cfg.Gate == nil {
		return protocol.Caller{}, errFileNoToken
	}
	for _, token := range []string{bearer(x.r), cookie(x.r, accessCookie)} {
		if token == "" {
			continue
		}
		caller, err := s.cfg.Gate.Authenticate(x.r.Context(), token)
		var known *protocol.Error
		switch {
		case err == nil:
			return caller, nil
		case errors.As(err, &known) && known.Code != protocol.CodeUnauthorized, !errors.As(err, &known):
			return caller, err
		}
	}
	return protocol.Caller{}, errFileNoToken
}

// authenticateLink acts as the user that a link was made for. What he may is
// judged as for anybody, now.
func (s *Server) authenticateLink(x *exchange, sig, exp, uid string) (protocol.Caller, error) {
	var caller protocol.Caller
	if sig == "" || exp == "" || uid == "" {
		return caller, errHalfSigned
	}
	until, err := strconv.ParseInt(exp, 10, 64)
	if err != nil {
		return caller, errBadSigned
	}
	if s.now().Unix() > until || !s.cfg.Files.Verify(sig, x.params["id"], uid, exp) {
		return caller, errSigned
	}
	user, err := protocol.ParseID[struct{}](uid)
	if err != nil || s.cfg.DB == nil {
		return caller, errSignedUser
	}
	caller.UserID = protocol.UserID(user)
	account, err := s.cfg.DB.AccountState(x.r.Context(), caller.UserID, protocol.InstantOf(s.now()))
	switch {
	case isNotFound(err), err == nil && account.Banned:
		return protocol.Caller{}, errSignedUser
	case err != nil:
		return protocol.Caller{}, err
	}
	return caller, nil
}

// grant asks whether the caller may have the file, and where it is.
func (s *Server) grant(x *exchange, op *protocol.Operation) (*protocol.FileGrant, error) {
	reply, err := s.perform(x, op)
	if err != nil {
		return nil, err
	}
	g, ok := reply.(*protocol.FileGrant)
	if !ok {
		return nil, errors.New("no grant of a file")
	}
	return g, nil
}

// crossOrigin lets pages of other origins, such as a desktop client, embed what
// their user may see.
func crossOrigin(h http.Header) { h["Cross-Origin-Resource-Policy"] = []string{"cross-origin"} }
