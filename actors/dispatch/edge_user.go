package dispatch

import (
	"context"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

func userProfile(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return found(d.cfg.DB.PublicUser(ctx, callerOf(cmd).UserID))
}

func userGet(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return found(d.cfg.DB.PublicUser(ctx, requestOf[protocol.GetUser](cmd).ID))
}

func userByName(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return found(d.cfg.DB.UserByName(ctx, requestOf[protocol.GetUserByName](cmd).Name))
}

// userSearch finds nobody when nothing is looked for.
func userSearch(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	req, caller := requestOf[protocol.SearchUsers](cmd), callerOf(cmd)
	if req.Query == "" {
		return &[]protocol.PublicUser{}, nil
	}
	s := persistence.UserSearch{Part: req.Query, Limit: req.Limit, Caller: caller.UserID, Owner: caller.Owner}
	s.Community, _ = idOf[protocol.CommunityID](req.CommunityID) // what is no id has no members
	return listed(d.cfg.DB.SearchUsers(ctx, s))
}

// userList gives an empty page for a token that is none.
func userList(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	req := requestOf[protocol.ListUsers](cmd)
	after, ok := idOf[protocol.UserID](req.ContinuationToken)
	if !ok {
		return &protocol.UserPage{Users: []protocol.PublicUser{}}, nil
	}
	return found(d.cfg.DB.Users(ctx, after, req.Limit))
}

// adminPage is how many accounts are on a page when nobody says.
const adminPage = 50

func userAdminList(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	req := requestOf[protocol.ListAccounts](cmd)
	after, ok := idOf[protocol.UserID](req.ContinuationToken)
	if !ok {
		return &protocol.AccountPage{Users: []protocol.AdminUser{}}, nil
	}
	f := persistence.AccountFilter{After: after, Role: req.Role, Part: req.Search}
	if req.Banned != "" {
		banned := req.Banned == "true"
		f.Banned = &banned
	}
	limit := adminPage
	if req.Limit != nil {
		limit = *req.Limit
	}
	return found(d.cfg.DB.AdminUsers(ctx, f, limit))
}

func userAdminGet(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	return found(d.cfg.DB.AdminUser(ctx, requestOf[protocol.GetAccount](cmd).ID))
}

// idOf reads an id that may be left out: then it is zero. It reports whether the
// text names anything.
func idOf[ID ~[16]byte](text string) (id ID, ok bool) {
	if text == "" {
		return id, true
	}
	parsed, err := protocol.ParseID[struct{}](text)
	return ID(parsed), err == nil && !parsed.IsZero()
}
