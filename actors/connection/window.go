package connection

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/rookery-chat/rookery/protocol"
	"github.com/rookery-chat/rookery/protocol/rookeryws"
)

// maxWindows bounds the member lists that one client looks at.
const maxWindows = 8

// presenceTimeout bounds the wait for how many members are online.
const presenceTimeout = 5 * time.Second

// window is the part of a community's member list that a native client looks at.
// It ends with the socket: what the client gets of it has no number.
type window struct {
	community protocol.CommunityID
	body      json.RawMessage // of the operation that reads it
	rows      []json.RawMessage
	online    int
	opened    bool
	reading   bool // the rows are on their way
	stale     bool // they changed meanwhile

	// Of communities so large that nobody is told who comes and goes: who of the
	// members in the window is online is asked for again and again.
	users   []protocol.UserID
	present map[protocol.UserID]bool
	glances bool // the next question is due
}

// quietEvery is how often a window of a community is asked for in which nobody is
// told who comes and goes. A question costs the community a look per row.
const quietEvery = 2 * time.Second

// counted says how many members of a community are online and, when nobody else
// does, which of those in the window.
type counted struct {
	community protocol.CommunityID
	online    int
	quiet     bool
	of        []protocol.UserID // who was asked about; nil: nobody
	present   []protocol.UserID
}

// glance is when to look again.
type glance struct{ window *window }

var errWindow = protocol.BadRequest("A window names a community and up to 100 members")

// window opens, moves or closes a window. It is answered with its rows.
func (c *conn) window(r *rookeryws.Request, weight int32) bool {
	var d struct {
		CommunityID protocol.CommunityID `json:"communityId"`
		After       string               `json:"after"`
		Count       int                  `json:"count"`
	}
	switch err := json.Unmarshal(r.D, &d); {
	case c.phase == waiting:
		c.hangUp(rookeryws.CloseNoHello)
		return false
	case err != nil || d.CommunityID.IsZero() || d.Count < 0 || d.Count > rookeryws.MaxWindow:
		c.reply(r.ID, rookeryws.AppendErr(nil, r.ID, errWindow))
		return false
	case d.Count == 0:
		delete(c.windows, d.CommunityID)
		c.watch()
		c.reply(r.ID, rookeryws.AppendOK(nil, r.ID, nil))
		return false
	case c.windows[d.CommunityID] == nil && len(c.windows) >= maxWindows:
		c.reply(r.ID, rookeryws.AppendErr(nil, r.ID, protocol.BadRequest("Too many windows")))
		return false
	}
	list := protocol.ListMembers{CommunityID: d.CommunityID, After: d.After, Limit: d.Count}
	body, err := json.Marshal(map[string]any{"communityId": list.CommunityID, "after": list.After, "limit": list.Limit})
	if err != nil {
		c.reply(r.ID, rookeryws.AppendErr(nil, r.ID, errWindow))
		return false
	}
	w := &window{community: d.CommunityID, body: body, online: -1}
	if c.windows == nil {
		c.windows = map[protocol.CommunityID]*window{}
	}
	c.windows[d.CommunityID] = w
	c.ask(&request{op: &protocol.MemberList.Operation, body: body, id: r.ID, wants: r.ID != 0, weight: weight, window: w})
	return true
}

// ask runs a request, or keeps it until the greeting is out.
func (c *conn) ask(r *request) {
	if r.window != nil {
		r.window.reading = true
	}
	if c.pending != nil {
		c.pending.early = append(c.pending.early, r)
		return
	}
	c.request(r)
}

// read takes the rows of a window, and tells the client which differ from those
// that it has.
func (c *conn) read(w *window, result any, err error) {
	w.reading = false
	if c.phase != live || c.windows[w.community] != w {
		return
	}
	var rows []json.RawMessage
	text, bad := encode(result)
	if err != nil || bad != nil || json.Unmarshal(text, &rows) != nil {
		delete(c.windows, w.community) // he may not look any more, or asks again
		c.watch()
		return
	}
	before := w.rows
	w.rows = rows
	w.users = usersOf(rows)
	if !w.opened {
		w.opened = true
		c.watch()
		c.count(w)
		return
	}
	type changed struct {
		Index int             `json:"index"`
		Row   json.RawMessage `json:"row"`
	}
	d := struct {
		CommunityID protocol.CommunityID `json:"communityId"`
		Count       int                  `json:"count"` // rows of the window
		Rows        []changed            `json:"rows"`  // those that differ
	}{w.community, len(rows), []changed{}}
	for i, row := range rows {
		if i >= len(before) || !bytes.Equal(row, before[i]) {
			d.Rows = append(d.Rows, changed{i, row})
		}
	}
	if len(d.Rows) > 0 || len(rows) != len(before) {
		c.tell("memberWindow", d)
	}
	if w.stale {
		c.refresh(w)
	}
}

// tell sends something that is not part of the session.
func (c *conn) tell(name string, d any) {
	text, err := json.Marshal(d)
	if err != nil {
		c.srv.cfg.Log.Error("event cannot be encoded", "event", name, "error", err)
		return
	}
	c.socket.Send(rookeryws.AppendNotice(nil, name, text))
}

// stirred reads windows again whose community has changed. The relay says so
// once a second at most.
func (c *conn) stirred(m *protocol.Stirred) {
	w := c.windows[protocol.CommunityID(m.Topic.ID)]
	if c.phase != live || w == nil || !w.opened {
		return
	}
	if w.reading {
		w.stale = true
		return
	}
	c.refresh(w)
}

func (c *conn) refresh(w *window) {
	w.stale = false
	c.count(w)
	c.ask(&request{op: &protocol.MemberList.Operation, body: w.body, window: w, weight: 0, inner: true})
}

// watch tells the relay which communities matter.
func (c *conn) watch() {
	var topics []protocol.Topic
	for id, w := range c.windows {
		if w.opened {
			topics = append(topics, protocol.CommunityTopic(id))
		}
	}
	c.srv.cfg.Relay.Watch(c.socket, c.who, topics)
}

// count asks the community how many of its members are online.
func (c *conn) count(w *window) {
	c.busy++
	srv, pid, id, users := c.srv, c.pid, w.community, w.users
	go func() {
		ctx, cancel := context.WithTimeout(srv.ctx, presenceTimeout)
		defer cancel()
		m := &counted{community: id, online: -1}
		reply, err := srv.cfg.Node.Ask(ctx, string(protocol.KindCommunity), id.String(), &protocol.AskPresence{})
		if scope, ok := reply.(*protocol.PresenceScope); err == nil && ok {
			m.online, m.quiet = scope.Online, scope.Quiet
		}
		if m.quiet && len(users) > 0 {
			reply, err := srv.cfg.Node.Ask(ctx, string(protocol.KindCommunity), id.String(), &protocol.AskOnlineMembers{Users: users})
			if members, ok := reply.(*protocol.OnlineMembers); err == nil && ok {
				m.of, m.present = users, members.Users
			}
		}
		srv.root.Send(pid, m)
	}()
}

func (c *conn) counted(m *counted) {
	c.busy--
	w := c.windows[m.community]
	if c.phase != live || w == nil {
		return
	}
	if m.online >= 0 && m.online != w.online {
		w.online = m.online
		c.tell("presence.count", struct {
			CommunityID protocol.CommunityID `json:"communityId"`
			Online      int                  `json:"online"`
		}{m.community, m.online})
	}
	if m.of != nil {
		c.presentIn(w, m)
	}
	if (m.quiet || m.online < 0 && w.present != nil) && !w.glances {
		w.glances = true
		root, pid := c.srv.root, c.pid
		time.AfterFunc(quietEvery, func() { root.Send(pid, &glance{w}) })
	}
}

// presentIn tells who of those in a window came or went since the last look.
func (c *conn) presentIn(w *window, m *counted) {
	now := make(map[protocol.UserID]bool, len(m.present))
	d := struct {
		CommunityID protocol.CommunityID `json:"communityId"`
		Online      []protocol.UserID    `json:"online"`
		Offline     []protocol.UserID    `json:"offline"`
	}{m.community, []protocol.UserID{}, []protocol.UserID{}}
	for _, u := range m.present {
		now[u] = true
	}
	for _, u := range m.of {
		switch {
		case now[u] && !w.present[u]:
			d.Online = append(d.Online, u)
		case !now[u] && w.present[u]:
			d.Offline = append(d.Offline, u)
		}
	}
	w.present = now
	if len(d.Online)+len(d.Offline) > 0 {
		c.tell("presence.window", d)
	}
}

// glance looks again, as long as the window is open.
func (c *conn) glance(m *glance) {
	w := m.window
	if w.glances = false; c.phase == live && c.windows[w.community] == w {
		c.count(w)
	}
}

// usersOf are the members that rows are about.
func usersOf(rows []json.RawMessage) (users []protocol.UserID) {
	for _, row := range rows {
		var r struct {
			UserID protocol.UserID `json:"userId"`
		}
		if json.Unmarshal(row, &r) == nil && !r.UserID.IsZero() {
			users = append(users, r.UserID)
		}
	}
	return users
}
