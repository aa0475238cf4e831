package httpapi

import (
	"net/http"

	"github.com/rookery-chat/rookery/protocol"
)

// accountHandler is the handler of a row of accounts that has to do with cookies,
// links or files; nil for other rows.
func (s *Server) accountHandler(op *protocol.Operation) handler {
	switch op.Name {
	case protocol.AccountPassword.Name:
		return s.changePassword
	case protocol.AccountDelete.Name:
		return s.deleteAccount
	case protocol.AccountResetLink.Name:
		return s.makeResetLink
	case protocol.AccountExport.Name:
		return s.export
	}
	return nil
}

// changePassword has the password changed and goes on with new tokens: those of
// the login that were handed out before are worth nothing any more.
func (s *Server) changePassword(x *exchange) error {
	if _, err := s.perform(x, &protocol.AccountPassword.Operation); err != nil {
		return err
	}
	ctx, user := x.r.Context(), x.caller.UserID
	account, err := s.cfg.DB.AccountState(ctx, user, protocol.InstantOf(s.now()))
	if err != nil {
		return err
	}
	next, token, err := s.newRefresh(x, user)
	if err != nil {
		return err
	}
	next.Session, next.Network = x.caller.Session, x.caller.Network()
	ok, err := s.cfg.DB.RestartSession(ctx, next)
	switch {
	case err != nil:
		return err
	case !ok:
		return protocol.ErrUnauthorized
	}
	return s.handOut(x, user, account.Username, account.Role, next.Session, token)
}

func (s *Server) deleteAccount(x *exchange) error {
	reply, err := s.perform(x, &protocol.AccountDelete.Operation)
	if err != nil {
		return err
	}
	clearCookie(x.w.Header(), refreshCookie)
	clearCookie(x.w.Header(), accessCookie)
	return writeReply(x.w, x.r, http.StatusOK, reply)
}

// makeResetLink completes the link: who asks knows under which name this server
// is reached.
func (s *Server) makeResetLink(x *exchange) error {
	op := &protocol.AccountResetLink.Operation
	reply, err := s.perform(x, op)
	if err != nil {
		return err
	}
	if link, ok := reply.(*protocol.ResetLink); ok && !x.socket { // a socket's client knows better
		link.URL = s.origin(x.r) + link.URL
	}
	x.w.Header()["Cache-Control"] = []string{"no-store"}
	return writeReply(x.w, x.r, op.SuccessStatus(), reply)
}
