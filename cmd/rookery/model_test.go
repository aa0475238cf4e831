package main

import (
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/cmd/load"
)

// view is something that a client shows and how it gets it. The group is what
// events name when they make clients fetch again.
type view struct{ name, group, path string }

// views of a community, as far as clients have them.
var views = []view{
	{"mine", "mine", "/api/community/mine"},
	{"me", "people", "/api/users/profile"},
	{"target", "people", "/api/users/$target"},
	{"community", "community", "/api/community/$community"},
	{"channels", "channels", "/api/channels/community/$community"},
	{"mentionable", "channels", "/api/channels/community/$community/mentionable"},
	{"general", "channels", "/api/channels/$general"},
	{"private", "channels", "/api/channels/$private"},
	{"hidden", "channels", "/api/channels/$hidden"},
	{"members", "members", "/api/membership/community/$community"},
	{"channelMembers", "members", "/api/channel-membership/channel/$private"},
	{"roles", "roles", "/api/roles/community/$community"},
	{"myRoles", "roles", "/api/roles/my/community/$community"},
	{"targetRoles", "roles", "/api/roles/user/$target/community/$community"},
	{"bans", "moderation", "/api/moderation/bans/$community"},
	{"timeouts", "moderation", "/api/moderation/timeouts/$community"},
	{"timeoutStatus", "moderation", "/api/moderation/timeout-status/$community/$target"},
	{"aliases", "aliases", "/api/alias-groups/community/$community"},
	{"notices", "notices", "/api/notifications?limit=50"},
	{"lastRead", "receipts", "/api/read-receipts/last-read?channelId=$general"},
	{"pins", "pins", "/api/moderation/pins/$general"},
	{"dms", "dms", "/api/direct-messages"},
	{"directMessages", "directMessages", "/api/messages/group/$dm?limit=50"},
	{"thread", "messages", "/api/threads/$message/replies?limit=50"},
	{"messages", "messages", "/api/messages/channel/$general?limit=50"},
	{"privateMessages", "messages", "/api/messages/channel/$private?limit=50"},
	{"hiddenMessages", "messages", "/api/messages/channel/$hidden?limit=50"},
}

// refetched tells what clients fetch again on an event. Events about messages
// are applied instead, see patch and outdate.
var refetched = map[string][]string{
	"memberAddedToCommunity": {"all"},
	"communityUpdated":       {"mine", "community"},
	"communityDeleted":       {"all"},
	"channelCreated":         {"channels", "members", "messages", "pins"}, // a channel that comes into view is opened
	"channelUpdated":         {"channels", "members", "messages", "pins"},
	"channelDeleted":         {"channels", "members", "messages", "pins"},
	"channelsReordered":      {"channels"},
	"roleCreated":            {"roles"},
	"roleUpdated":            {"all"}, // what one may see depends on roles
	"roleDeleted":            {"roles"},
	"roleAssigned":           {"all"},
	"roleUnassigned":         {"all"},
	"userBanned":             {"all"},
	"userKicked":             {"all"},
	"userTimedOut":           {"moderation"},
	"timeoutRemoved":         {"moderation"},
	"userProfileUpdated":     {"people", "members", "moderation", "pins", "dms"},
	"newDirectMessage":       {"dms"},
	"newNotification":        {"notices"},
	"readReceiptUpdated":     {"receipts"},
	"messagePinned":          {"pins"},
	"messageUnpinned":        {"pins"},
}

// heard is an event as a client got it.
type heard struct {
	name    string
	payload json.RawMessage
}

// viewer is a client with a model of what it shows: snapshots, and the events
// since.
type viewer struct {
	name  string
	api   load.API
	s     *scene
	sock  *load.Socket
	model map[string]any // by name of the view; nil: not visible

	mu     sync.Mutex
	events []heard
	news   chan struct{}
}

// watch connects a client and fetches its first snapshot.
func watch(t *testing.T, name string, n *node, s *scene, token string) *viewer {
	t.Helper()
	v := &viewer{name: name, api: n.api().As(token), s: s, news: make(chan struct{}, 1)}
	var err error
	if v.sock, err = load.Dial(within(t), n.addr, load.Options{Token: token, OnEvent: v.on}); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(v.sock.Close)
	v.model = v.fetch(t, "all")
	return v
}

func (v *viewer) on(name string, payload json.RawMessage) {
	if name == "userOnline" || name == "userOffline" {
		return // of the clients that come
	}
	v.mu.Lock()
	v.events = append(v.events, heard{name, slices.Clone(payload)})
	v.mu.Unlock()
	select {
	case v.news <- struct{}{}:
	default:
	}
}

// gone reports whether the server has ended the connection: the client shows its
// login page.
func (v *viewer) gone() bool {
	select {
	case <-v.sock.Done():
		return true
	default:
		return false
	}
}

// fetch reads the views of the groups afresh.
func (v *viewer) fetch(t *testing.T, groups ...string) map[string]any {
	t.Helper()
	got := map[string]any{}
	for _, w := range views {
		if !slices.Contains(groups, w.group) && !slices.Contains(groups, "all") {
			continue
		}
		path := variable.ReplaceAllStringFunc(w.path, func(name string) string { return v.s.vars[name[1:]] })
		var body any
		err := v.api.Call(within(t), "GET", path, nil, &body)
		switch status(err) {
		case 0:
			if err != nil {
				t.Fatalf("%s as %s: %v", w.name, v.name, err)
			}
		case 500, 502, 503:
			t.Errorf("%s as %s: %v", w.name, v.name, err)
		}
		got[w.name] = timeless(body)
	}
	return got
}

// timeless is a body without what changes by itself, and lists without an order
// in one.
func timeless(body any) any {
	switch b := body.(type) {
	case map[string]any:
		delete(b, "lastSeen")
		for k := range b {
			b[k] = timeless(b[k])
		}
	case []any:
		for i := range b {
			b[i] = timeless(b[i])
		}
	}
	return body
}

// take takes the events so far.
func (v *viewer) take() []heard {
	v.mu.Lock()
	defer v.mu.Unlock()
	list := v.events
	v.events = nil
	return list
}

// apply does with events what clients do. What is fetched again is fetched once
// for all of them.
func (v *viewer) apply(t *testing.T, events []heard) {
	t.Helper()
	var again []string
	for _, e := range events {
		var m change
		if err := json.Unmarshal(e.payload, &m); err != nil {
			t.Errorf("%s: event %s %s: %v", v.name, e.name, e.payload, err)
		}
		again = append(again, refetched[e.name]...)
		v.outdate(e.name, m)
		v.patch(e.name, m)
	}
	if len(again) > 0 {
		maps.Copy(v.model, v.fetch(t, again...))
	}
}

// change is what events about messages carry.
type change struct {
	ChannelID string
	GroupID   string `json:"directMessageGroupId"`
	MessageID string
	Message   map[string]any
	Emoji     string
	Reaction  map[string]any
	Reactions []any
	Parent    string         `json:"parentMessageId"`
	Reply     map[string]any // of threads
	ReplyID   string
	Replies   *float64 `json:"replyCount"`
	LastReply any      `json:"lastReplyAt"`
	PinnedBy  string
	PinnedAt  string
	Notice    string `json:"notificationId"`
}

// outdate does what no event makes clients do, so that what events do say is
// compared: each case names an event and a view that clients leave as it is, until
// they fetch it again for themselves.
func (v *viewer) outdate(event string, m change) {
	gone := func(id any) bool { return id != nil && id == any(m.MessageID) }
	switch event {
	case "updateMessage", "reactionAdded", "reactionRemoved", "threadReplyCountUpdated":
		// What pinned messages say: these change lists of messages only. Pins are fetched
		// when they are opened, and are not fresh for longer than 30 s. Which messages are
		// pinned is not forgiven.
		v.patchPin(event, m)
		// What a notification quotes: clients fetch the list when they open it, and after
		// a reconnect.
		v.eachNotice(func(n map[string]any) bool {
			if quoted, _ := n["message"].(map[string]any); quoted != nil && m.Message != nil && quoted["id"] == m.Message["id"] {
				quoted["spans"] = timeless(m.Message["spans"])
			}
			return true
		})
	case "deleteMessage":
		// Notifications of it, and of replies to it: no event takes one from the list.
		v.eachNotice(func(n map[string]any) bool { return !gone(n["messageId"]) && !gone(n["parentMessageId"]) })
		// Where one has read up to: any readReceiptUpdated sets the unread count of the
		// channel to nothing, so that it can't tell of a pointer that moves back.
		if last, ok := v.model["lastRead"].(map[string]any); ok && gone(last["lastReadMessageId"]) {
			last["lastReadMessageId"] = v.before(m.MessageID)
		}
	case "channelDeleted":
		// What notifications from a channel that is lost quote: as with an edit.
		v.eachNotice(func(n map[string]any) bool {
			if n["channelId"] == m.ChannelID {
				n["message"] = nil
			}
			return true
		})
		// How far one has read is looked up by channel, and nothing shows this one.
		if m.ChannelID == v.s.vars["general"] {
			v.model["lastRead"] = nil
		}
	case "notificationRead":
		v.eachNotice(func(n map[string]any) bool {
			if n["id"] == m.Notice {
				n["read"] = true
			}
			return true
		})
	}
}

// eachNotice changes notifications, and keeps those for which keep says so.
func (v *viewer) eachNotice(keep func(n map[string]any) bool) {
	page, ok := v.model["notices"].(map[string]any)
	if !ok {
		return
	}
	list, _ := page["notifications"].([]any)
	list = slices.DeleteFunc(list, func(n any) bool { return !keep(n.(map[string]any)) })
	unread := 0
	for _, n := range list {
		if n.(map[string]any)["read"] == false {
			unread++
		}
	}
	page["notifications"], page["total"], page["unreadCount"] = list, float64(len(list)), float64(unread)
}

// before is the message before one of the channel, nil: it is the first.
func (v *viewer) before(id string) any {
	list := v.shown("messages")
	for i, m := range list[:max(0, len(list)-1)] {
		if m["id"] == id {
			return list[i+1]["id"]
		}
	}
	return nil
}

// patchPin changes what a pinned message says.
func (v *viewer) patchPin(event string, m change) {
	list, _ := v.model["pins"].([]any)
	id := cmp.Or(m.MessageID, m.Parent)
	if m.Message != nil {
		id, _ = m.Message["id"].(string)
	}
	at := slices.IndexFunc(list, func(x any) bool { return x.(map[string]any)["id"] == id })
	switch {
	case at < 0:
	case event == "updateMessage":
		changed := maps.Clone(m.Message)
		changed["author"] = list[at].(map[string]any)["author"]
		list[at] = timeless(any(changed))
	default:
		patchMessage(list[at].(map[string]any), event, m)
	}
}

// patch changes the lists of messages as the client does.
func (v *viewer) patch(event string, m change) {
	v.patchThread(event, m)
	channel := m.ChannelID + m.GroupID // one of them is empty
	if m.Message != nil {
		channel, _ = m.Message["channelId"].(string)
		if channel == "" {
			channel, _ = m.Message["directMessageGroupId"].(string)
		}
		m.MessageID, _ = m.Message["id"].(string)
	}
	if event == "threadReplyCountUpdated" {
		m.MessageID = m.Parent
	}
	name := map[string]string{v.s.vars["general"]: "messages", v.s.vars["private"]: "privateMessages", v.s.vars["hidden"]: "hiddenMessages", v.s.vars["dm"]: "directMessages"}[channel]
	page, ok := v.model[name].(map[string]any)
	if !ok {
		return
	}
	list, _ := page["messages"].([]any)
	at := slices.IndexFunc(list, func(x any) bool { return x.(map[string]any)["id"] == m.MessageID })
	switch {
	case (event == "newMessage" || event == "newDirectMessage") && at < 0:
		list = append([]any{timeless(any(m.Message))}, list...)
	case at < 0:
	case event == "updateMessage":
		list[at] = timeless(any(m.Message))
	case event == "deleteMessage":
		list = slices.Delete(list, at, at+1)
	default:
		patchMessage(list[at].(map[string]any), event, m)
	}
	page["messages"] = list
}

// patchThread changes the list of replies as a client does that has it open.
func (v *viewer) patchThread(event string, m change) {
	page, ok := v.model["thread"].(map[string]any)
	if !ok {
		return
	}
	if event == "deleteMessage" && m.MessageID == v.s.vars["message"] { // the thread goes with it
		v.model["thread"] = nil
		return
	}
	if m.Parent != v.s.vars["message"] {
		return
	}
	list, _ := page["replies"].([]any)
	if m.Reply != nil {
		m.ReplyID, _ = m.Reply["id"].(string)
	}
	if event == "reactionAdded" || event == "reactionRemoved" {
		m.ReplyID = m.MessageID
	}
	at := slices.IndexFunc(list, func(x any) bool { return x.(map[string]any)["id"] == m.ReplyID })
	switch {
	case event == "newThreadReply" && at < 0:
		list = append(list, timeless(any(m.Reply)))
	case at < 0:
	case event == "updateThreadReply":
		list[at] = timeless(any(m.Reply))
	case event == "deleteThreadReply":
		list = slices.Delete(list, at, at+1)
	case m.MessageID != "":
		patchMessage(list[at].(map[string]any), event, m)
	}
	page["replies"] = list
}

func patchMessage(message map[string]any, event string, m change) {
	switch event {
	case "reactionAdded":
		reactions, _ := message["reactions"].([]any)
		at := slices.IndexFunc(reactions, func(x any) bool { return x.(map[string]any)["emoji"] == m.Reaction["emoji"] })
		if at < 0 {
			message["reactions"] = append(reactions, any(m.Reaction))
		} else {
			reactions[at] = m.Reaction
		}
	case "reactionRemoved":
		message["reactions"] = m.Reactions
	case "threadReplyCountUpdated":
		message["replyCount"], message["lastReplyAt"] = *m.Replies, m.LastReply
	case "messagePinned":
		message["pinned"], message["pinnedAt"], message["pinnedBy"] = true, m.PinnedAt, m.PinnedBy
	case "messageUnpinned":
		message["pinned"], message["pinnedAt"], message["pinnedBy"] = false, nil, nil
	}
}

// settle applies events until the model is what a fresh client sees, and names
// the views that are not when nothing more comes.
func (v *viewer) settle(t *testing.T, quiet func(view string) bool) {
	t.Helper()
	late := time.NewTimer(5 * time.Second)
	defer late.Stop()
	var all []string
	for {
		events := v.take()
		for _, e := range events {
			all = append(all, e.name)
		}
		v.apply(t, events)
		fresh := v.fetch(t, "all")
		var wrong []string
		for name := range fresh {
			if !quiet(name) && !reflect.DeepEqual(v.model[name], fresh[name]) {
				wrong = append(wrong, name)
			}
		}
		if len(wrong) == 0 {
			return
		}
		select {
		case <-v.news:
		case <-late.C:
			slices.Sort(wrong)
			t.Errorf("%s heard [%s], but shows something else than a fresh client: %s", v.name, strings.Join(all, " "), strings.Join(wrong, ", "))
			for _, name := range wrong {
				shown, fresh := differing(v.model[name], fresh[name])
				t.Logf("%s of %s\nshown %s\nfresh %s", name, v.name, shown, fresh)
			}
			return
		}
	}
}

// differing are the texts of two values from shortly before they differ.
func differing(a, b any) (shown, fresh string) {
	x, y := encoded(a), encoded(b)
	at := 0
	for at < len(x) && at < len(y) && x[at] == y[at] {
		at++
	}
	at = max(0, at-60)
	return x[at:min(len(x), at+300)], y[at:min(len(y), at+300)]
}

func encoded(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
