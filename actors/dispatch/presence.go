package dispatch

import (
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-chat/rookery/protocol"
)

// seenLately is how old last_seen may be to count as online where a community has
// been loaded a short while ago: it is written every minute.
const seenLately = 2 * time.Minute

// maxAcquainted bounds how many users are asked one by one.
const maxAcquainted = 200

// asking bounds the questions under way of one request.
const asking = 16

// presenceGet asks about one user; an id that is none is of nobody, and nobody is
// offline.
func presenceGet(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	req := requestOf[protocol.GetPresence](cmd)
	of := &protocol.PresenceOf{UserID: req.UserID}
	id, _ := protocol.ParseID[struct{}](req.UserID) // zero for what is no id
	if id.IsZero() {
		return of, nil
	}
	online, err := d.online(ctx, callerOf(cmd).UserID, []protocol.UserID{protocol.UserID(id)})
	if err != nil {
		return nil, err
	}
	of.IsOnline = online[protocol.UserID(id)]
	return of, nil
}

// presenceMulti asks about many. Every id that was asked for is in the answer.
func presenceMulti(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	p := &protocol.Presences{Presence: map[string]bool{}}
	var ids []protocol.UserID
	for text := range strings.SplitSeq(requestOf[protocol.GetPresences](cmd).UserIDs, ",") {
		if text == "" || len(p.Presence) >= protocol.MaxPresences {
			continue
		}
		if _, twice := p.Presence[text]; twice {
			continue
		}
		p.Presence[text] = false
		if id, err := protocol.ParseID[struct{}](text); err == nil && !id.IsZero() {
			ids = append(ids, protocol.UserID(id))
		}
	}
	online, err := d.online(ctx, callerOf(cmd).UserID, ids)
	if err != nil {
		return nil, err
	}
	for text := range p.Presence {
		if id, err := protocol.ParseID[struct{}](text); err == nil {
			p.Presence[text] = online[protocol.UserID(id)]
		}
	}
	return p, nil
}

// presenceBulk shows all who are online of those whom the caller may see.
func presenceBulk(ctx context.Context, d *Dispatcher, cmd any) (any, error) {
	me := callerOf(cmd).UserID
	communities, err := d.cfg.DB.CommunitiesOf(ctx, me)
	if err != nil {
		return nil, err
	}
	acquainted, err := d.cfg.DB.Acquainted(ctx, me)
	if err != nil {
		return nil, err
	}
	found := newPresent()
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(asking)
	for _, c := range communities {
		work.Go(func() error { return d.membersOnline(ctx, c.ID, nil, nil, found) })
	}
	d.askEach(ctx, work, acquainted, found)
	if err := work.Wait(); err != nil {
		return nil, err
	}
	p := &protocol.Presences{Presence: make(map[string]bool, len(found.users))}
	for u := range found.users {
		p.Presence[u.String()] = true
	}
	return p, nil
}

// present collects who is online.
type present struct {
	mu    sync.Mutex
	users map[protocol.UserID]bool
}

func newPresent() *present { return &present{users: map[protocol.UserID]bool{}} }

func (p *present) add(users ...protocol.UserID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range users {
		p.users[u] = true
	}
}

// online tells which of the users are online, of those whom the caller may see: a
// question to each community that he shares with them, and one to each of the few
// with whom he shares none.
func (d *Dispatcher) online(ctx context.Context, caller protocol.UserID, ids []protocol.UserID) (map[protocol.UserID]bool, error) {
	visible, err := d.cfg.DB.VisibleTo(ctx, caller, ids)
	if err != nil {
		return nil, err
	}
	found := newPresent()
	members := map[protocol.CommunityID][]protocol.UserID{}
	lately := map[protocol.UserID]bool{}
	since := protocol.InstantOf(time.Now().Add(-seenLately))
	var single []protocol.UserID
	for _, v := range visible {
		if lately[v.User] = v.LastSeen > since; v.Community.IsZero() {
			single = append(single, v.User)
			continue
		}
		members[v.Community] = append(members[v.Community], v.User)
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(asking)
	for c, users := range members {
		if len(users) == 1 { // he knows best
			single = append(single, users[0])
			continue
		}
		work.Go(func() error { return d.membersOnline(ctx, c, users, lately, found) })
	}
	d.askEach(ctx, work, single, found)
	return found.users, work.Wait()
}

// membersOnline asks a community. One that was loaded a short while ago may not
// have heard of everybody: those who were seen lately count, too.
func (d *Dispatcher) membersOnline(
	ctx context.Context, community protocol.CommunityID, users []protocol.UserID, lately map[protocol.UserID]bool, found *present,
) error {
	reply, err := d.cfg.Cluster.Ask(ctx, string(protocol.KindCommunity), community.String(), &protocol.AskOnlineMembers{Users: users})
	if err != nil {
		return err
	}
	m, ok := reply.(*protocol.OnlineMembers)
	if !ok {
		return nil
	}
	found.add(m.Users...)
	if !m.Fresh {
		return nil
	}
	for _, u := range users {
		if lately[u] {
			found.add(u)
		}
	}
	if users == nil {
		seen, err := d.cfg.DB.SeenMembers(ctx, community, protocol.InstantOf(time.Now().Add(-seenLately)))
		found.add(seen...)
		return err
	}
	return nil
}

// askEach asks users themselves.
func (d *Dispatcher) askEach(ctx context.Context, work *errgroup.Group, users []protocol.UserID, found *present) {
	if len(users) > maxAcquainted {
		users = users[:maxAcquainted]
	}
	for _, u := range users {
		work.Go(func() error {
			reply, err := d.cfg.Cluster.Ask(ctx, string(protocol.KindUser), u.String(), &protocol.AskOnline{})
			if is, ok := reply.(*protocol.IsOnline); ok && is.Online {
				found.add(u)
			}
			return err
		})
	}
}
