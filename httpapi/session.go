package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// Failures with the contract's texts.
var (
	errBanned         = protocol.Unauthorized("Account has been banned")
	errNoRefresh      = protocol.Unauthorized("No refresh token provided")
	errBadRefresh     = protocol.Unauthorized("Invalid refresh token")
	errNoUser         = protocol.Unauthorized("Could not find user")
	errNoSession      = protocol.NotFound("Session not found")
	errUnknownSession = protocol.Unauthorized("Could not determine current session")
)

// maxAgent bounds the User-Agent that is stored.
const maxAgent = 512

// sessionHandler is the handler of a row of sessions, which set cookies and read
// headers; nil for other rows.
func (s *Server) sessionHandler(op *protocol.Operation) handler {
	var h handler
	switch op.Name {
	case protocol.SessionLogin.Name:
		h = s.login
	case protocol.SessionRefresh.Name:
		h = s.refresh
	case protocol.SessionLogout.Name:
		h = s.logout
	case protocol.SessionList.Name:
		h = s.listSessions
	case protocol.SessionRevoke.Name:
		h = s.revokeSession
	case protocol.SessionRevokeOthers.Name:
		h = s.revokeOtherSessions
	default:
		if h = s.accountHandler(op); h == nil {
			return s.fileHandler(op)
		}
	}
	if s.cfg.DB == nil || s.cfg.Gate == nil {
		return func(*exchange) error { return protocol.ErrUnavailable }
	}
	return h
}

// login checks a name and a password. Unknown users, wrong passwords and
// requests that make no sense are one answer, in the same time.
func (s *Server) login(x *exchange) error {
	fields := bodyFields(x.body)
	username, _ := fields["username"].(string)
	password, _ := fields["password"].(string)
	if username == "" || password == "" || strings.ContainsRune(username, 0) {
		return protocol.ErrUnauthorized
	}
	ctx := x.r.Context()
	row, err := s.cfg.DB.UserForLogin(ctx, strings.ToLower(username))
	if err != nil && !isNotFound(err) {
		return err
	}
	g, err := s.guess(x, strings.ToLower(username), row.ID)
	if err != nil {
		return err
	}
	ok, renew, err := s.cfg.Gate.Verify(ctx, row.Hash, password)
	switch {
	case err != nil:
		return err
	case !ok:
		return protocol.ErrUnauthorized
	case row.Banned:
		return errBanned
	}
	session := protocol.SessionID(protocol.NewRandomID[struct{}]())
	next, token, err := s.newRefresh(x, row.ID)
	if err != nil {
		return err
	}
	next.Session, next.Network = session, g.network
	ok, err = s.cfg.DB.OpenSession(ctx, next, row.Hash)
	switch {
	case err != nil:
		return err
	case !ok: // changed since it was checked
		return protocol.ErrUnauthorized
	case renew:
		s.renewHash(x, row, password)
	}
	s.guessed(ctx, g)
	return s.handOut(x, row.ID, row.Username, row.Role, session, token)
}

// renewHash replaces a hash of an older kind. The login does not depend on it.
func (s *Server) renewHash(x *exchange, row persistence.LoginRow, password string) {
	renewed, err := s.cfg.Gate.Hash(x.r.Context(), password)
	if err == nil {
		err = s.cfg.DB.RenewPasswordHash(x.r.Context(), row.ID, row.Hash, renewed)
	}
	if err != nil {
		x.log(slog.LevelWarn, "password hash was not renewed", err)
	}
}

// refresh exchanges a refresh token for new tokens.
func (s *Server) refresh(x *exchange) error {
	token := s.refreshToken(x)
	if token == "" {
		return errNoRefresh
	}
	user, id, err := s.cfg.Gate.ReadRefresh(token)
	if err != nil {
		return errBadRefresh
	}
	ctx := x.r.Context()
	account, err := s.cfg.DB.AccountState(ctx, user, protocol.InstantOf(s.now()))
	switch {
	case isNotFound(err):
		return errNoUser
	case err != nil:
		return err
	case account.Banned:
		return errBanned
	}
	next, fresh, err := s.newRefresh(x, user)
	if err != nil {
		return err
	}
	rotation, err := s.cfg.DB.RotateSession(ctx, id, sha256.Sum256([]byte(token)), next)
	switch {
	case err != nil:
		return err
	case rotation.Stolen:
		x.log(slog.LevelWarn, "refresh token was used again, session ended", fmt.Errorf("session %s of user %s", rotation.Session, user))
		s.ended(ctx, x, user, protocol.EndSessions{Session: rotation.Session, Reason: "session revoked"})
		return errBadRefresh
	case !rotation.Valid:
		return errBadRefresh
	}
	return s.handOut(x, user, account.Username, account.Role, rotation.Session, fresh)
}

// refreshToken is the cookie, or for desktop clients without one the body.
func (s *Server) refreshToken(x *exchange) string {
	if token := cookie(x.r, refreshCookie); token != "" {
		return token
	}
	if !x.showsTokens() {
		return ""
	}
	token, _ := bodyFields(x.body)["refreshToken"].(string)
	return token
}

// newRefresh makes a refresh token and the row that goes with it.
func (s *Server) newRefresh(x *exchange, user protocol.UserID) (persistence.RefreshToken, string, error) {
	token, id, err := s.cfg.Gate.IssueRefresh(user)
	if err != nil {
		return persistence.RefreshToken{}, "", err
	}
	agent := strings.ToValidUTF8(strings.ReplaceAll(x.caller.Agent, "\x00", ""), "")
	now := s.now()
	return persistence.RefreshToken{
		ID: id, User: user, Hash: sha256.Sum256([]byte(token)), At: protocol.InstantOf(now), Expires: protocol.InstantOf(now.Add(refreshAge)),
		Device: deviceName(agent), Agent: strings.ToValidUTF8(agent[:min(len(agent), maxAgent)], ""), Address: x.caller.Address, AccessFor: accessAge,
	}, token, nil
}

// handOut answers with both tokens, as cookies and body.
func (s *Server) handOut(x *exchange, user protocol.UserID, username, role string, session protocol.SessionID, refresh string) error {
	access, err := s.cfg.Gate.IssueAccess(user, username, role, session)
	if err != nil {
		return err
	}
	h := x.w.Header()
	s.setCookie(h, accessCookie, access, accessAge, "Lax")
	s.setCookie(h, refreshCookie, refresh, refreshAge, "Strict")
	tokens := protocol.Tokens{AccessToken: access}
	if x.showsTokens() {
		tokens.RefreshToken = refresh
	}
	return writeReply(x.w, x.r, http.StatusOK, tokens)
}

// logout ends the session and every token that was shown. An expired access
// token is good enough to leave with.
func (s *Server) logout(x *exchange) error {
	caller, err := s.leaving(x)
	if err != nil {
		return err
	}
	x.caller.UserID, x.caller.Session, x.caller.Token = caller.UserID, caller.Session, caller.Token
	sessions := []protocol.SessionID{caller.Session}
	tokens := []protocol.AnyID{caller.Token}
	if c, _, err := s.cfg.Gate.ReadAccess(cookie(x.r, accessCookie)); err == nil && c.UserID == caller.UserID {
		sessions, tokens = append(sessions, c.Session), append(tokens, c.Token)
	}
	refresh, given := s.leavingRefresh(x)
	ctx := x.r.Context()
	if user, id, err := s.cfg.Gate.ReadRefresh(refresh); err == nil && user == caller.UserID {
		session, err := s.cfg.DB.SessionOfToken(ctx, user, id, sha256.Sum256([]byte(refresh)))
		switch {
		case err == nil:
			sessions = append(sessions, session)
		case !isNotFound(err):
			return err
		}
	}
	sessions = distinct(sessions)
	if err := s.cfg.DB.EndSessions(ctx, caller.UserID, sessions, tokens, protocol.InstantOf(s.now()), accessAge); err != nil {
		return err
	}
	s.ended(ctx, x, caller.UserID, endsOf(sessions, "logged out")...)
	if given {
		clearCookie(x.w.Header(), refreshCookie)
	}
	clearCookie(x.w.Header(), accessCookie)
	return writeReply(x.w, x.r, http.StatusCreated, protocol.Text{Message: "Logged out successfully"})
}

// leaving tells who logs out.
func (s *Server) leaving(x *exchange) (protocol.Caller, error) {
	if x.socket {
		return x.caller, nil
	}
	caller, err := s.authenticate(x)
	// Not errors.Is: revoked and banned, which have the same code, are explained.
	if known, _ := errors.AsType[*protocol.Error](err); known != protocol.ErrUnauthorized {
		return caller, err
	}
	caller, _, gone := s.cfg.Gate.ReadAccess(accessToken(x.r))
	if gone != nil {
		return caller, err
	}
	return caller, nil
}

// leavingRefresh is the refresh token of any client that logs out; given tells
// whether there was something in its place at all.
func (s *Server) leavingRefresh(x *exchange) (token string, given bool) {
	if token := cookie(x.r, refreshCookie); token != "" {
		return token, true
	}
	switch v := bodyFields(x.body)["refreshToken"].(type) {
	case nil:
		return "", false
	case string:
		return v, v != ""
	default:
		return "", true
	}
}

func (s *Server) listSessions(x *exchange) error {
	ctx := x.r.Context()
	rows, err := s.cfg.DB.Sessions(ctx, x.caller.UserID, protocol.InstantOf(s.now()))
	if err != nil {
		return err
	}
	current, err := s.currentSession(x)
	if err != nil {
		return err
	}
	list := make([]protocol.Session, len(rows))
	for i, row := range rows {
		list[i] = row.Session
		list[i].IsCurrent = row.Family == current
	}
	return writeReply(x.w, x.r, http.StatusOK, list)
}

// currentSession is the login that the request belongs to: the refresh cookie's,
// or without one the access token's.
func (s *Server) currentSession(x *exchange) (protocol.SessionID, error) {
	token := cookie(x.r, refreshCookie)
	if user, id, err := s.cfg.Gate.ReadRefresh(token); err == nil && user == x.caller.UserID {
		session, err := s.cfg.DB.SessionOfToken(x.r.Context(), user, id, sha256.Sum256([]byte(token)))
		if err == nil || !isNotFound(err) {
			return session, err
		}
	}
	return x.caller.Session, nil
}

func (s *Server) revokeSession(x *exchange) error {
	id, err := protocol.ParseID[struct{}](x.params["sessionId"])
	if err != nil {
		return protocol.ErrBadPathUUID
	}
	ctx, now := x.r.Context(), protocol.InstantOf(s.now())
	session, err := s.cfg.DB.SessionOf(ctx, x.caller.UserID, protocol.AnyID(id), now)
	if err != nil {
		if isNotFound(err) {
			return errNoSession
		}
		return err
	}
	if err := s.cfg.DB.EndSessions(ctx, x.caller.UserID, []protocol.SessionID{session}, nil, now, accessAge); err != nil {
		return err
	}
	s.ended(ctx, x, x.caller.UserID, protocol.EndSessions{Session: session, Reason: "session revoked"})
	return writeReply(x.w, x.r, http.StatusOK, protocol.Text{Message: "Session revoked successfully"})
}

func (s *Server) revokeOtherSessions(x *exchange) error {
	current, err := s.currentSession(x)
	if err != nil {
		return err
	}
	if current.IsZero() {
		return errUnknownSession
	}
	ctx := x.r.Context()
	gone, err := s.cfg.DB.EndOtherSessions(ctx, x.caller.UserID, current, protocol.InstantOf(s.now()), accessAge)
	if err != nil {
		return err
	}
	s.ended(ctx, x, x.caller.UserID, endsOf(gone, "session revoked")...)
	noun := "sessions"
	if len(gone) == 1 {
		noun = "session"
	}
	return writeReply(x.w, x.r, http.StatusOK, protocol.RevokedSessions{
		Message: fmt.Sprintf("Revoked %d %s", len(gone), noun), RevokedCount: len(gone),
	})
}

// ended makes the end of sessions known after it was committed: no node lets
// their tokens through any more, and their sockets are closed.
func (s *Server) ended(ctx context.Context, x *exchange, user protocol.UserID, ends ...protocol.EndSessions) {
	if len(ends) == 0 {
		return
	}
	s.cfg.Gate.Forget(ctx, user)
	if s.cfg.EndSockets == nil {
		return
	}
	for _, end := range ends {
		if err := s.cfg.EndSockets(context.WithoutCancel(ctx), user, end); err != nil {
			x.log(slog.LevelWarn, "sockets of an ended session may still be open", err)
		}
	}
}

func endsOf(sessions []protocol.SessionID, reason string) []protocol.EndSessions {
	ends := make([]protocol.EndSessions, len(sessions))
	for i, session := range sessions {
		ends[i] = protocol.EndSessions{Session: session, Reason: reason}
	}
	return ends
}

// bodyFields is a body whose fields may have any type; nothing for lists.
func bodyFields(body json.RawMessage) map[string]any {
	var fields map[string]any
	if len(body) == 0 || json.Unmarshal(body, &fields) != nil {
		return nil
	}
	return fields
}

func isNotFound(err error) bool { return errors.Is(err, protocol.NotFound("")) }

func distinct[T comparable](list []T) []T {
	seen := map[T]bool{}
	var out []T
	for _, v := range list {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}
