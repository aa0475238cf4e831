package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// persona is somebody that permissions are checked for. The letter stands for
// him in testdata/matrix.txt.
type persona struct {
	letter    byte
	name      string
	owner     bool   // of the instance
	instance  string // role of the instance
	community string // role in the community of the scene; empty: no member
	banned    bool   // in the community
	silenced  bool   // timed out in the community
}

var anonymous = persona{letter: 'a', name: "anonymous"}

// personas are in the order of the columns of the matrix.
var personas = []persona{
	{letter: 'O', name: "owner of the instance", owner: true},
	{letter: 'A', name: "community admin", community: rules.RoleCommunityAdmin},
	{letter: 'M', name: "moderator", community: rules.RoleModerator},
	{letter: 'm', name: "member", community: rules.RoleMember},
	{letter: 'n', name: "non-member"},
	{letter: 'b', name: "banned", banned: true},
	{letter: 't', name: "timed out", community: rules.RoleMember, silenced: true},
	{letter: 'I', name: "instance admin", instance: rules.RoleInstanceAdmin},
	{letter: 'C', name: "community creator", instance: rules.RoleCommunityCreator},
	{letter: 'U', name: "user manager", instance: rules.RoleUserManager},
	{letter: 'V', name: "invite manager", instance: rules.RoleInviteManager},
	anonymous,
}

func personaOf(letter byte) persona {
	for _, p := range personas {
		if p.letter == letter {
			return p
		}
	}
	panic("no persona " + string(letter))
}

// stage is a running instance on which scenes are set. Scenes are written to
// Postgres directly: their actors load them on the first request, so a scene
// costs two round trips and every test has one of its own.
type stage struct {
	nodes  []*node
	db     *pgxpool.Pool
	access []byte // key of access tokens
	hash   string // of load.Password
	roles  map[string]protocol.AnyID
}

func newStage(t *testing.T, databaseURL string, nodes ...*node) *stage {
	t.Helper()
	ctx := within(t)
	if _, err := nodes[0].api().Setup(ctx); err != nil {
		t.Fatal(err)
	}
	db, err := pgxpool.New(ctx, databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	g := &stage{nodes: nodes, db: db, roles: map[string]protocol.AnyID{}}
	raw, err := os.ReadFile(filepath.Join(nodes[0].data, secretsFile))
	if err != nil {
		t.Fatal(err)
	}
	var s secrets
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	g.access = []byte(s.Access)
	if err := db.QueryRow(ctx, `SELECT password_hash FROM app_user WHERE username = 'owner'`).Scan(&g.hash); err != nil {
		t.Fatal(err)
	}
	rows, _ := db.Query(ctx, `SELECT id, name FROM role WHERE community_id IS NULL`)
	var id protocol.AnyID
	var name string
	if _, err := pgx.ForEachRow(rows, []any{&id, &name}, func() error { g.roles[name] = id; return nil }); err != nil {
		t.Fatal(err)
	}
	return g
}

// token is an access token of a login that never took place.
func (g *stage) token(t *testing.T, user protocol.AnyID, session protocol.AnyID) string {
	t.Helper()
	now := time.Now()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"username": "u", "role": "USER", "sid": session.String(), "sub": user.String(), "jti": newID().String(),
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}).SignedString(g.access)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// scene is a community and the people around it, as one caller finds them. The
// vars are what requests of the matrix refer to as $name.
type scene struct {
	g      *stage
	caller persona
	token  string
	vars   map[string]string
	batch  *pgx.Batch
}

func newID() protocol.AnyID { return protocol.AnyID(protocol.NewRandomID[struct{}]()) }

// newScene sets a fresh scene for a persona.
func (g *stage) newScene(t *testing.T, p persona) *scene {
	t.Helper()
	s := &scene{g: g, caller: p, vars: map[string]string{}, batch: &pgx.Batch{}}
	s.people(t)
	s.community()
	s.content()
	s.direct()
	s.belongings()
	s.notices()
	if err := g.db.SendBatch(within(t), s.batch).Close(); err != nil {
		t.Fatalf("set the scene: %v", err)
	}
	return s
}

// put queues a row with a new id, which it returns.
func (s *scene) put(table, columns string, values ...any) protocol.AnyID {
	id := newID()
	s.row(table, "id,"+columns, append([]any{id}, values...)...)
	return id
}

// row queues a row.
func (s *scene) row(table, columns string, values ...any) {
	names := strings.Split(columns, ",")
	marks := make([]string, len(names))
	for i := range names {
		marks[i] = "$" + string(rune('1'+i))
		if i >= 9 {
			marks[i] = "$1" + string(rune('0'+i-9))
		}
	}
	s.batch.Queue("INSERT INTO "+table+" ("+columns+") VALUES ("+strings.Join(marks, ",")+")", values...)
}

// as names an id for requests.
func (s *scene) as(name string, id protocol.AnyID) protocol.AnyID {
	s.vars[name] = id.String()
	return id
}

func (s *scene) id(name string) protocol.AnyID {
	id, err := protocol.ParseID[struct{}](s.vars[name])
	if err != nil {
		panic("scene has no " + name)
	}
	return protocol.AnyID(id)
}

func (s *scene) user(name, role string) protocol.AnyID {
	id := newID()
	username := name + "-" + id.String()[:18]
	s.row("app_user", "id,username,display_name,password_hash,role", id, username, name, s.g.hash, role)
	s.vars[name+".name"] = username
	return s.as(name, id)
}

func (s *scene) people(t *testing.T) {
	role := protocol.RoleUser
	if s.caller.owner {
		role = protocol.RoleOwner
	}
	me := s.user("me", role)
	if s.caller.instance != "" {
		s.put("role_assignment", "user_id,role_id", me, s.g.roles[s.caller.instance])
	}
	for _, name := range []string{"founder", "target", "witness", "silenced", "stranger", "banned", "friend", "asker", "asked", "blocked"} {
		s.user(name, protocol.RoleUser)
	}
	s.user("owner", protocol.RoleOwner)
	later := time.Now().Add(24 * time.Hour)
	family := newID()
	s.as("session", s.put("refresh_token", "user_id,family_id,token_hash,expires_at", me, family, newHash(), later))
	s.as("otherSession", s.put("refresh_token", "user_id,family_id,token_hash,expires_at", me, newID(), newHash(), later))
	if s.caller != anonymous {
		s.token = s.g.token(t, me, family)
	}
}

func newHash() []byte {
	a, b := newID(), newID()
	return append(a[:], b[:]...)
}

// community is one with all default roles, three text channels and a voice
// channel. Its founder is its admin and in all of its channels.
func (s *scene) community() {
	c := s.as("community", s.put("community", "name", "c-"+newID().String()))
	at := time.Now()
	for i, r := range rules.CommunityRoles() {
		id := s.put("role", "name,community_id,is_default,actions,created_at", r.Name, c, true, r.Names(), at.Add(time.Duration(i)*time.Millisecond))
		s.as("role "+r.Name, id)
	}
	s.vars["memberRole"], s.vars["adminRole"] = s.vars["role "+rules.RoleMember], s.vars["role "+rules.RoleCommunityAdmin]
	s.vars["moderatorRole"] = s.vars["role "+rules.RoleModerator]
	s.as("role", s.put("role", "name,community_id,actions,created_at", "spare", c, []string{"READ_MESSAGE"}, at.Add(time.Second)))
	s.as("given", s.put("role", "name,community_id,actions,created_at", "given", c, []string{"READ_MESSAGE"}, at.Add(2*time.Second)))
	s.joins("founder", rules.RoleCommunityAdmin)
	for _, name := range []string{"target", "witness", "silenced"} {
		s.joins(name, rules.RoleMember)
	}
	s.put("role_assignment", "user_id,community_id,role_id", s.id("target"), c, s.id("given"))
	if s.caller.community != "" {
		s.joins("me", s.caller.community)
	}
	s.as("ban", s.put("community_ban", "community_id,user_id,moderator_id", c, s.id("banned"), s.id("founder")))
	if s.caller.banned {
		s.put("community_ban", "community_id,user_id,moderator_id", c, s.id("me"), s.id("founder"))
	}
	later := time.Now().Add(time.Hour)
	s.put("community_timeout", "community_id,user_id,moderator_id,expires_at", c, s.id("silenced"), s.id("founder"), later)
	if s.caller.silenced {
		s.put("community_timeout", "community_id,user_id,moderator_id,expires_at", c, s.id("me"), s.id("founder"), later)
	}
	s.as("general", s.put("channel", "name,community_id,position", "general", c, 0))
	s.as("second", s.put("channel", "name,community_id,position", "second", c, 1))
	s.as("private", s.put("channel", "name,community_id,position,is_private", "private", c, 2, true))
	s.as("hidden", s.put("channel", "name,community_id,position,is_private", "hidden", c, 3, true))
	s.as("voice", s.put("channel", "name,community_id,position,type", "voice", c, 0, protocol.ChannelVoice))
	for _, channel := range []string{"private", "hidden"} {
		for _, name := range []string{"founder", "target"} {
			s.put("channel_membership", "user_id,channel_id", s.id(name), s.id(channel))
		}
	}
	if s.caller.community != "" {
		s.put("channel_membership", "user_id,channel_id", s.id("me"), s.id("private"))
	}
	s.put("channel_membership", "user_id,channel_id", s.id("witness"), s.id("private"))
	s.as("alias", s.put("alias_group", "name,community_id", "everyone", c))
	s.put("alias_group_member", "alias_group_id,user_id", s.id("alias"), s.id("target"))
}

func (s *scene) joins(name, role string) {
	s.put("membership", "user_id,community_id", s.id(name), s.id("community"))
	s.put("role_assignment", "user_id,community_id,role_id", s.id(name), s.id("community"), s.id("role "+role))
}

// admit makes a user of another scene a member.
func (s *scene) admit(t *testing.T, user protocol.AnyID) {
	t.Helper()
	s.batch = &pgx.Batch{}
	s.put("membership", "user_id,community_id", user, s.id("community"))
	s.put("role_assignment", "user_id,community_id,role_id", user, s.id("community"), s.id("memberRole"))
	if err := s.g.db.SendBatch(within(t), s.batch).Close(); err != nil {
		t.Fatal(err)
	}
}

// content is what was said: by the target, and by the caller, who may have been
// a member then.
func (s *scene) content() {
	seq := map[string]int{}
	message := func(name, channel, author, more string, values ...any) {
		seq[channel]++
		columns := "channel_id,seq,author_id,search_text"
		if more != "" {
			columns += "," + more
		}
		s.as(name, s.put("message", columns, append([]any{s.id(channel), seq[channel], s.id(author), name}, values...)...))
	}
	message("message", "general", "target", "reply_count", 2)
	message("own", "general", "me", "")
	message("pinned", "general", "target", "pinned,pinned_at,pinned_by", true, time.Now(), s.id("founder"))
	message("reacted", "general", "target", "")
	for author, last := range map[string]string{"me": "own", "target": "reacted"} { // who sends has read up to there
		s.put("read_receipt", "user_id,channel_id,last_read_message_id,last_read_seq,last_read_sent_at",
			s.id(author), s.id("general"), s.id(last), map[string]int{"own": 2, "reacted": 4}[last], time.Now())
	}
	message("confided", "private", "target", "")
	message("secret", "hidden", "target", "")
	message("reply", "general", "me", "parent_message_id", s.id("message"))
	message("othersReply", "general", "target", "parent_message_id", s.id("message"))
	s.put("message_reaction", "message_id,emoji,user_id", s.id("reacted"), "x", s.id("me"))
}

// direct is a group with the caller, one without him, and his conversation with
// the target.
func (s *scene) direct() {
	seq := 0
	group := func(name string, members ...string) {
		s.as(name, s.put("direct_message_group", "is_group,name", true, name))
		for _, m := range members {
			s.put("direct_message_group_member", "group_id,user_id", s.id(name), s.id(m))
		}
	}
	message := func(name, group, author string) {
		seq++
		s.as(name, s.put("message", "direct_message_group_id,seq,author_id,search_text", s.id(group), seq, s.id(author), name))
	}
	group("dm", "me", "target", "witness")
	group("foreignDM", "target", "stranger")
	me, target := s.id("me"), s.id("target")
	if bytes.Compare(me[:], target[:]) > 0 {
		me, target = target, me
	}
	s.as("pair", s.put("direct_message_group", "pair_low,pair_high", me, target))
	for _, name := range []string{"me", "target"} {
		s.put("direct_message_group_member", "group_id,user_id", s.id("pair"), s.id(name))
	}
	message("direct", "dm", "target")
	message("ownDirect", "dm", "me")
	message("foreignDirect", "foreignDM", "target")
	s.put("message_reaction", "message_id,emoji,user_id", s.id("direct"), "x", s.id("me"))
}

// belongings are rows of the caller and of the instance.
func (s *scene) belongings() {
	me := s.id("me")
	s.put("user_block", "blocker_id,blocked_id", me, s.id("blocked"))
	s.as("friendship", s.put("friendship", "user_a_id,user_b_id,status", me, s.id("friend"), "ACCEPTED"))
	s.as("request", s.put("friendship", "user_a_id,user_b_id,status", s.id("asker"), me, "PENDING"))
	s.as("sent", s.put("friendship", "user_a_id,user_b_id,status", me, s.id("asked"), "PENDING"))
	for _, of := range []string{"me", "founder"} {
		code := newID().String()[:13]
		s.vars[map[string]string{"me": "invite", "founder": "foreignInvite"}[of]] = code
		s.put("instance_invite", "code,created_by", code, s.id(of))
	}
	s.as("instanceRole", s.put("role", "name,actions", "spare "+newID().String(), []string{"READ_USER"}))
	s.as("givenInstanceRole", s.put("role", "name,actions", "given "+newID().String(), []string{"READ_USER"}))
	s.put("role_assignment", "user_id,role_id", s.id("target"), s.id("givenInstanceRole"))
	s.as("auditorRole", s.put("role", "name,actions", "auditor "+newID().String(), []string{"READ_INSTANCE_SETTINGS"}))
	s.as("instanceAdminRole", s.g.roles[rules.RoleInstanceAdmin])
	// Empty files, so that the recount of what users store changes nothing.
	file := func(name, kind, by string) {
		s.as(name, s.put("file", "filename,mime_type,file_type,size,checksum,uploaded_by,resource_type,storage_path",
			name+".png", "image/png", "IMAGE", 0, "x", s.id(by), kind, newID().String()))
	}
	file("avatar", "USER_AVATAR", "me")
	file("foreignAvatar", "USER_AVATAR", "target")
	file("communityAvatar", "COMMUNITY_AVATAR", "me")
	file("upload", "MESSAGE_ATTACHMENT", "me")
	file("foreignUpload", "MESSAGE_ATTACHMENT", "target")
	// Direct message groups: one of the caller's, one of others.
	for name, with := range map[string]string{"group": "me", "foreignGroup": "witness"} {
		g := s.as(name, s.put("direct_message_group", "is_group", true))
		for _, user := range []string{with, "target"} {
			s.put("direct_message_group_member", "group_id,user_id", g, s.id(user))
		}
		s.as(map[string]string{"group": "whisper", "foreignGroup": "foreignWhisper"}[name],
			s.put("message", "direct_message_group_id,seq,author_id,search_text", g, 1, s.id("target"), "whisper"))
	}
	attached := func(name, message string) {
		s.as(name, s.put("file", "filename,mime_type,file_type,size,checksum,uploaded_by,resource_type,storage_path,message_id",
			name+".png", "image/png", "IMAGE", 0, "x", s.id("target"), "MESSAGE_ATTACHMENT", newID().String(), s.id(message)))
	}
	attached("shown", "message")
	attached("confidedFile", "confided")
	attached("secretFile", "secret")
	s.as("emoji", s.put("file", "filename,mime_type,file_type,size,checksum,uploaded_by,resource_type,storage_path,community_id",
		"emoji.png", "image/png", "IMAGE", 0, "x", s.id("founder"), "CUSTOM_EMOJI", newID().String(), s.id("community")))
}

// goneScene is a scene of which nothing is left: the server knew all of it, and
// was told to delete it.
func (g *stage) goneScene(t *testing.T, rows []row) *scene {
	t.Helper()
	s := g.newScene(t, personaOf('A'))
	owner := g.newScene(t, personaOf('O'))
	for _, r := range rows {
		if r.op.Method == http.MethodGet {
			call{r.op, s.fill(t, r.request)}.send(t, g.nodes[0], owner.token)
		}
	}
	api := g.nodes[0].api().As(owner.token)
	for _, path := range []string{"messages/$message", "moderation/message/$secret", "channels/$hidden", "alias-groups/$alias",
		"roles/community/$community/$role", "roles/instance/$instanceRole", "friends/$friendship",
		"invite/$invite", "invite/$foreignInvite", "community/$community", "users/admin/$me", "users/admin/$target",
		"users/admin/$stranger", "users/admin/$friend", "users/admin/$asker", "users/admin/$asked", "users/admin/$banned",
		"users/admin/$silenced", "users/admin/$witness", "users/admin/$blocked", "users/admin/$founder"} {
		path = variable.ReplaceAllStringFunc("/api/"+path, func(name string) string { return s.vars[name[1:]] })
		token := api
		if strings.HasPrefix(path, "/api/friends/") {
			token = api.As(s.token)
		}
		if err := token.Call(within(t), "DELETE", path, nil, nil); err != nil {
			t.Fatalf("take the scene down: %v", err)
		}
	}
	g.purge(t)
	var ids []protocol.AnyID
	for name := range s.vars {
		if id, err := protocol.ParseID[struct{}](s.vars[name]); err == nil {
			ids = append(ids, protocol.AnyID(id))
		}
	}
	for _, table := range []string{"direct_message_group", "role", "app_user", "file"} { // what is left: logins, files, roles
		if _, err := g.db.Exec(within(t), "DELETE FROM "+table+" WHERE id = ANY ($1)", ids); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// purge does what the server does every minute: what it deleted is removed now,
// and not while a test compares tables.
func (g *stage) purge(t *testing.T) {
	t.Helper()
	ctx := within(t)
	db, err := persistence.Open(ctx, persistence.Config{URL: g.db.Config().ConnString(), MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for {
		more, err := db.PurgeDeleted(ctx, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return
		}
	}
}
