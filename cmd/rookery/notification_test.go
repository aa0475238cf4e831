package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// mentioning is a message that names somebody.
func mentioning(channel, text string, span map[string]any) map[string]any {
	return map[string]any{"channelId": channel, "attachments": []string{}, "spans": []map[string]any{{"type": "PLAINTEXT", "text": text}, span}}
}

// told waits for a newNotification about a text and returns its payload.
func (e *ear) told(text string) (n struct {
	NotificationID, Type, MessageID, ChannelID, CommunityID, ChannelName, DirectMessageGroupID, AuthorID string
	Author                                                                                               struct{ Username string }
	Message                                                                                              load.Message
	Read                                                                                                 *bool
}) {
	e.t.Helper()
	await(e.t, e.name+" is notified of "+text, func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		for i, h := range e.heard {
			if h.name == "newNotification" && containsText(h.payload, text) {
				if err := json.Unmarshal(h.payload, &n); err != nil {
					e.t.Fatal(err)
				}
				e.heard = slices.Delete(e.heard, i, i+1)
				return true
			}
		}
		return false
	})
	return n
}

// never fails if something was heard so far.
func (e *ear) never(event, text string) {
	e.t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.heard {
		if h.name == event && containsText(h.payload, text) {
			e.t.Errorf("%s heard %s %s", e.name, event, h.payload)
		}
	}
}

type unread struct {
	ChannelID, DirectMessageGroupID string
	UnreadCount, MentionCount       int
	LastReadMessageID               string
}

// unread is what is not read, by context.
func (e *ear) unread() map[string]unread {
	e.t.Helper()
	var list []unread
	e.call("GET", "/api/read-receipts/unread-counts", nil, &list)
	m := map[string]unread{}
	for _, u := range list {
		m[u.ChannelID+u.DirectMessageGroupID] = u
	}
	return m
}

// TestNotifications: who is named is told, on whatever node, and has read it when
// he says so; levels and rights decide; nothing is lost with a node.
func TestNotifications(t *testing.T) {
	url := pgtest.URL(t)
	nodes := startCluster(t, url, 2)
	ctx := within(t)
	setup, err := nodes[0].api().Setup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	people := map[string]*ear{"owner": hear(t, "owner", setup.UserID, setup.Token, nodes[0])}
	for i, name := range []string{"alice", "bob", "carol"} {
		id, token, err := nodes[0].api().Register(ctx, name, setup.Invite)
		if err != nil {
			t.Fatal(err)
		}
		people[name] = hear(t, name, id, token, nodes[i%2])
	}
	owner, alice, bob, carol := people["owner"], people["alice"], people["bob"], people["carol"]
	general := setup.General
	post := func(e *ear, body map[string]any) (id string) {
		t.Helper()
		var m load.Message
		e.call("POST", "/api/messages", body, &m)
		return m.ID
	}
	user := func(e *ear) map[string]any {
		return map[string]any{"type": "USER_MENTION", "text": "@" + e.name, "userId": e.id}
	}

	first := post(alice, mentioning(general, "look here", user(bob)))
	n := bob.told("look here")
	if n.Type != "USER_MENTION" || n.MessageID != first || n.ChannelID != general || n.CommunityID != setup.Community || n.ChannelName != "general" ||
		n.AuthorID != alice.id || n.Author.Username != "alice" || n.Message.Text() != "look here" || n.Read == nil || *n.Read {
		t.Errorf("event = %+v", n)
	}
	if u := bob.unread()[general]; u.UnreadCount != 2 || u.MentionCount != 1 || u.LastReadMessageID != "" { // the welcome, too
		t.Errorf("unread = %+v", u)
	}
	if u := alice.unread()[general]; u.UnreadCount != 0 || u.LastReadMessageID != first {
		t.Errorf("unread of the author = %+v", u)
	}
	if err := bob.sock.Emit("markAsRead", map[string]string{"lastReadMessageId": first, "channelId": general}); err != nil {
		t.Fatal(err)
	}
	bob.until("notificationRead", n.NotificationID)
	if u := bob.unread()[general]; u.UnreadCount != 0 || u.MentionCount != 0 || u.LastReadMessageID != first {
		t.Errorf("unread when read = %+v", u)
	}
	var readers []struct{ Username string }
	alice.call("GET", "/api/read-receipts/message/"+first+"/readers?channelId="+general, nil, &readers)
	if len(readers) != 1 || readers[0].Username != "bob" {
		t.Errorf("readers = %+v", readers)
	}

	// Levels: carol wants to hear of everything, bob of nothing.
	carol.call("PUT", "/api/notifications/channels/"+general+"/override", map[string]string{"level": "all"}, nil)
	bob.call("PUT", "/api/notifications/channels/"+general+"/override", map[string]string{"level": "none"}, nil)
	owner.say(general, "for everybody")
	if n := carol.told("for everybody"); n.Type != "CHANNEL_MESSAGE" {
		t.Errorf("carol got %s", n.Type)
	}
	post(owner, mentioning(general, "everybody again", map[string]any{"type": "SPECIAL_MENTION", "text": "@channel", "specialKind": "channel"}))
	alice.told("everybody again")
	bob.never("newNotification", "everybody")
	bob.call("DELETE", "/api/notifications/channels/"+general+"/override", nil, nil)
	post(alice, mentioning(general, "who is there", map[string]any{"type": "SPECIAL_MENTION", "text": "@here", "specialKind": "here"}))
	bob.told("who is there")

	// A private channel: who can't read there is not told, whoever names him.
	var secret struct{ ID string }
	owner.call("POST", "/api/channels", map[string]any{"name": "secret", "communityId": setup.Community, "type": "TEXT", "isPrivate": true}, &secret)
	owner.call("POST", "/api/channel-membership", map[string]string{"channelId": secret.ID, "userId": alice.id}, nil)
	post(owner, mentioning(secret.ID, "between us", user(bob)))
	post(owner, mentioning(secret.ID, "between us two", user(alice)))
	alice.told("between us two")
	bob.never("newNotification", "between us")
	if _, listed := bob.unread()[secret.ID]; listed {
		t.Error("bob counts in a channel that he can't read")
	}

	// A group.
	db, err := pgxpool.New(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	group := newID().String()
	if _, err := db.Exec(ctx, `INSERT INTO direct_message_group (id, is_group) VALUES ($1, true)`, group); err != nil {
		t.Fatal(err)
	}
	for _, e := range []*ear{alice, bob} {
		if _, err := db.Exec(ctx, `INSERT INTO direct_message_group_member (id, group_id, user_id) VALUES (gen_random_uuid(), $1, $2)`, group, e.id); err != nil {
			t.Fatal(err)
		}
	}
	whisper := post(alice, map[string]any{"directMessageGroupId": group, "attachments": []string{}, "spans": []map[string]any{{"type": "PLAINTEXT", "text": "psst"}}})
	if n := bob.told("psst"); n.Type != "DIRECT_MESSAGE" || n.DirectMessageGroupID != group || n.MessageID != whisper {
		t.Errorf("direct = %+v", n)
	}
	if u := bob.unread()[group]; u.UnreadCount != 1 || u.MentionCount != 1 {
		t.Errorf("unread in the group = %+v", u)
	}
	bob.call("POST", "/api/read-receipts/mark-read", map[string]string{"lastReadMessageId": whisper, "directMessageGroupId": group}, nil)
	var peers []struct{ UserID string }
	alice.call("GET", "/api/read-receipts/dm-peer-reads/"+group, nil, &peers)
	if len(peers) != 1 || peers[0].UserID != bob.id {
		t.Errorf("peers = %+v", peers)
	}
	if err := carol.api.Call(within(t), "GET", "/api/read-receipts/dm-peer-reads/"+group, nil, nil); status(err) != http.StatusForbidden {
		t.Errorf("carol reads along: %v", err)
	}

	// Reading all is heard on the other devices.
	var page struct {
		Notifications []struct{ ID string }
		UnreadCount   int
	}
	bob.call("GET", "/api/notifications?unreadOnly=false&limit=100", nil, &page)
	if page.UnreadCount != 2 || len(page.Notifications) != 3 { // one was read
		t.Errorf("page = %+v", page)
	}
	var count struct{ Count int }
	bob.call("POST", "/api/notifications/read-all", nil, &count)
	bob.call("GET", "/api/notifications?unreadOnly=true", nil, &page)
	if count.Count != 2 || page.UnreadCount != 0 {
		t.Errorf("read all: %d, %+v", count.Count, page)
	}

	// Who has left is not told; who comes online is seen by his friends and groups.
	carol.call("DELETE", "/api/membership/leave/"+setup.Community, nil, nil)
	post(alice, mentioning(general, "are you gone", user(carol)))
	post(alice, mentioning(general, "are you here", user(bob)))
	bob.told("are you here")
	carol.never("newNotification", "are you gone")
	if _, listed := carol.unread()[general]; listed {
		t.Error("who has left counts on")
	}
	var online struct{ Presence map[string]bool }
	alice.call("GET", "/api/presence/users/"+bob.id+","+carol.id+",nobody", nil, &online)
	if want := map[string]bool{bob.id: true, carol.id: false, "nobody": false}; !maps.Equal(online.Presence, want) {
		t.Errorf("presence = %v, want %v", online.Presence, want)
	}
	online.Presence = nil
	alice.call("GET", "/api/presence/users/bulk", nil, &online)
	if !online.Presence[bob.id] || !online.Presence[owner.id] || len(online.Presence) != 3 {
		t.Errorf("bulk = %v", online.Presence)
	}

	// A notice whose node has died is worked by the others.
	var row string
	if err := db.QueryRow(ctx, `WITH m AS (SELECT * FROM message WHERE channel_id = $1 ORDER BY seq DESC LIMIT 1),
		gone AS (DELETE FROM notification WHERE message_id IN (SELECT id FROM m))
		INSERT INTO notice (message_id) SELECT id FROM m RETURNING message_id::text`, general).Scan(&row); err != nil {
		t.Fatal(err)
	}
	bob.told("are you here")
	for _, n := range nodes {
		for _, line := range n.problems() {
			t.Errorf("%s logged %s", n.addr, line)
		}
	}
}

// browser is what a push service and a browser do together.
type browser struct {
	t    *testing.T
	key  *ecdh.PrivateKey
	auth []byte

	mu     sync.Mutex
	pushes []map[string]any
	status int
}

// ServeHTTP takes a push: signed with the key of the instance, encrypted for the
// browser.
func (b *browser) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Encoding") != "aes128gcm" || r.Header.Get("TTL") != "86400" || r.Header.Get("Urgency") != "normal" {
		b.t.Errorf("push = %s %v %v", r.Method, r.Header, err)
	}
	if err := b.signed(r); err != nil {
		b.t.Errorf("VAPID: %v", err)
	}
	text, err := b.decrypt(body)
	var p map[string]any
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		b.t.Errorf("decrypt: %v", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pushes = append(b.pushes, p)
	w.WriteHeader(b.status)
}

// signed checks the Authorization header (RFC 8292).
func (b *browser) signed(r *http.Request) error {
	var token, key string
	for part := range strings.SplitSeq(strings.TrimPrefix(r.Header.Get("Authorization"), "vapid "), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			token = value
		case "k":
			key = value
		}
	}
	point, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil || len(point) != 65 {
		return fmt.Errorf("key %q: %w", key, err)
	}
	public := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(point[1:33]), Y: new(big.Int).SetBytes(point[33:])}
	_, err = jwt.Parse(token, func(*jwt.Token) (any, error) { return public, nil }, jwt.WithValidMethods([]string{"ES256"}),
		jwt.WithAudience("https://"+r.Host), jwt.WithSubject("mailto:admin@localhost"), jwt.WithExpirationRequired())
	return err
}

// decrypt reads a message of one record (RFC 8188, RFC 8291).
func (b *browser) decrypt(body []byte) ([]byte, error) {
	salt, size, n := body[:16], uint32(body[16])<<24|uint32(body[17])<<16|uint32(body[18])<<8|uint32(body[19]), int(body[20])
	server, rest := body[21:21+n], body[21+n:]
	if len(rest) > int(size) {
		return nil, fmt.Errorf("%d bytes in records of %d", len(rest), size)
	}
	public, err := ecdh.P256().NewPublicKey(server)
	if err != nil {
		return nil, err
	}
	shared, err := b.key.ECDH(public)
	if err != nil {
		return nil, err
	}
	info := "WebPush: info\x00" + string(b.key.PublicKey().Bytes()) + string(server)
	ikm, err := hkdf.Key(sha256.New, shared, b.auth, info, 32)
	if err != nil {
		return nil, err
	}
	cek, _ := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	nonce, _ := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	text, err := gcm.Open(nil, nonce, rest, nil)
	if err != nil {
		return nil, err
	}
	text = []byte(strings.TrimRight(string(text), "\x00"))
	if len(text) == 0 || text[len(text)-1] != 2 {
		return nil, fmt.Errorf("no end of the last record")
	}
	return text[:len(text)-1], nil
}

// got waits for a push with a text in it.
func (b *browser) got(text string) (p map[string]any) {
	b.t.Helper()
	await(b.t, "a push of "+text, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, q := range b.pushes {
			if strings.Contains(fmt.Sprint(q["body"], q["title"]), text) {
				p = q
				return true
			}
		}
		return false
	})
	return p
}

// TestPush: a browser gets what its user is notified of, encrypted for it, unless
// the user looks anyway or does not want to be disturbed.
func TestPush(t *testing.T) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, key: key, auth: make([]byte, 16), status: http.StatusCreated}
	if _, err := rand.Read(b.auth); err != nil {
		t.Fatal(err)
	}
	service := httptest.NewTLSServer(b)
	t.Cleanup(service.Close)
	cert := filepath.Join(t.TempDir(), "service.pem")
	if err := os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: service.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", cert)
	nodes := startCluster(t, pgtest.URL(t), 2, "--push-private")
	ctx := within(t)
	setup, err := nodes[0].api().Setup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	owner := hear(t, "owner", setup.UserID, setup.Token, nodes[0])
	id, token, err := nodes[0].api().Register(ctx, "bob", setup.Invite)
	if err != nil {
		t.Fatal(err)
	}
	bob := &ear{t: t, name: "bob", id: id, api: nodes[1].api().As(token)} // without a socket

	keys := map[string]bool{}
	for _, n := range nodes {
		var k struct {
			PublicKey string
			Enabled   bool
		}
		if err := n.api().As(token).Call(ctx, "GET", "/api/push/vapid-public-key", nil, &k); err != nil || !k.Enabled {
			t.Fatal(k, err)
		}
		keys[k.PublicKey] = true
	}
	if len(keys) != 1 {
		t.Errorf("nodes have different keys: %v", keys)
	}
	endpoint := service.URL + "/browser"
	bob.call("POST", "/api/push/subscribe", map[string]any{"endpoint": endpoint, "keys": map[string]string{
		"p256dh": base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes()), "auth": base64.RawURLEncoding.EncodeToString(b.auth),
	}}, nil)
	var tested struct{ Sent, Failed int }
	bob.call("POST", "/api/push/test", nil, &tested)
	if tested.Sent != 1 || tested.Failed != 0 {
		t.Errorf("test: %+v", tested)
	}
	b.got("Test Push Notification")

	name := func(text string) {
		t.Helper()
		owner.call("POST", "/api/messages", mentioning(setup.General, text, map[string]any{"type": "USER_MENTION", "text": "@bob", "userId": bob.id}), nil)
	}
	name("first")
	p := b.got("first")
	data, _ := p["data"].(map[string]any)
	if p["title"] != "#general" || p["body"] != "owner: first @bob" || p["tag"] != data["notificationId"] || data["type"] != "USER_MENTION" ||
		data["channelId"] != setup.General || data["communityId"] != setup.Community || data["directMessageGroupId"] != nil {
		t.Errorf("push = %v", p)
	}

	// Who does not want to be disturbed has the notification without a push.
	bob.call("PUT", "/api/notifications/settings", map[string]any{"doNotDisturb": true}, nil)
	name("second")
	var page struct{ UnreadCount int }
	await(t, "the notification is there", func() bool {
		bob.call("GET", "/api/notifications", nil, &page)
		return page.UnreadCount == 2
	})
	db, err := pgxpool.New(ctx, databaseOf(nodes[0]))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	worked := func() {
		t.Helper()
		await(t, "the deliveries are decided", func() bool {
			var open int
			err := db.QueryRow(ctx, `SELECT count(*) FROM river.river_job WHERE queue = 'push' AND state <> 'completed'`).Scan(&open)
			return err == nil && open == 0
		})
	}
	worked()
	bob.call("PUT", "/api/notifications/settings", map[string]any{"doNotDisturb": false}, nil)

	// Nor does who looks.
	looking := hear(t, "bob", id, token, nodes[1])
	name("third")
	looking.told("third")
	worked()

	// A subscription that is gone is forgotten.
	b.mu.Lock()
	for _, p := range b.pushes {
		if s := fmt.Sprint(p["body"]); strings.Contains(s, "second") || strings.Contains(s, "third") {
			t.Errorf("disturbed by %v", p)
		}
	}
	b.status = http.StatusGone
	b.mu.Unlock()
	bob.call("POST", "/api/push/test", nil, &tested)
	var status struct{ SubscriptionCount int }
	bob.call("GET", "/api/push/status", nil, &status)
	if tested.Sent != 0 || tested.Failed != 1 || status.SubscriptionCount != 0 {
		t.Errorf("gone: %+v %+v", tested, status)
	}
	for _, n := range nodes {
		for _, line := range n.problems() {
			t.Errorf("%s logged %s", n.addr, line)
		}
	}
}

// databaseOf is the database of a node that was given one.
func databaseOf(n *node) string {
	return n.args[slices.Index(n.args, "--database-url")+1]
}
