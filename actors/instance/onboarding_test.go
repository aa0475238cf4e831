package instance

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

func (w *world) status() protocol.OnboardingStatus {
	w.t.Helper()
	r := w.run(w.s.onboardingStatus(w.turn(protocol.Caller{}), protocol.GetOnboarding{}))
	if r.err != nil {
		w.t.Fatal(r.err)
	}
	return *r.reply.(*protocol.OnboardingStatus)
}

func TestOnboardingStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.status()
	if !first.NeedsSetup || first.HasUsers || first.SetupToken == "" {
		t.Errorf("status = %+v", first)
	}
	if again := w.status(); again != first {
		t.Errorf("the token changed: %+v", again)
	}
	w.activate()
	if again := w.status(); again != first {
		t.Errorf("the token did not survive its node: %+v", again)
	}
	w.now += protocol.Instant(tokenLife.Milliseconds())
	wantError(t, second(w.s.setUp(w.turn(protocol.Caller{}), protocol.SetupInstance{SetupToken: first.SetupToken})), persistence.ErrSetupToken)
	if later := w.status(); later.SetupToken == first.SetupToken || later.SetupToken == "" {
		t.Errorf("an expired token: %+v", later)
	}
	if n := w.count(`SELECT count(*) FROM role WHERE community_id IS NULL AND is_default`); n != 4 {
		t.Errorf("%d instance roles, want 4", n)
	}
}

func second[A any](_ A, err error) error { return err }

func TestSetUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	about, email := "All about birds", "ada@example.org"
	r := w.setUp(protocol.SetupInstance{AdminUsername: "Ada", AdminEmail: &email, InstanceName: "Aviary", InstanceDescription: &about})
	if r.err != nil {
		t.Fatal(r.err)
	}
	done := r.reply.(*protocol.SetupDone)
	if !done.Success || done.Message != "Instance setup completed successfully" || done.DefaultCommunityID == nil {
		t.Errorf("reply = %+v", done)
	}
	u, err := w.db.PublicUser(t.Context(), done.AdminUserID)
	if err != nil || u.Username != "ada" || *u.DisplayName != "ada" || u.Role != protocol.RoleOwner {
		t.Errorf("owner = %+v, %v", u, err)
	}
	account, err := w.db.AccountState(t.Context(), u.ID, w.now)
	if err != nil || account.Role != protocol.RoleOwner || account.Actions.Len() != 12 || account.Banned {
		t.Errorf("account = %+v, %v", account, err)
	}
	rows, err := w.db.Community(t.Context(), *done.DefaultCommunityID, w.now)
	if err != nil || rows.Community.Name != "General" || *rows.Community.Description != about || len(rows.Roles) != 3 || len(rows.Members) != 1 {
		t.Fatalf("community = %+v, %v", rows, err)
	}
	type place struct {
		name, kind string
		position   int
	}
	var places []place
	for _, c := range rows.Channels {
		places = append(places, place{c.Name, c.Type, c.Position})
	}
	if want := []place{{"general", "TEXT", 0}, {"announcements", "TEXT", 1}, {"voice-chat", "VOICE", 0}}; !slices.Equal(places, want) {
		t.Errorf("channels = %v", places)
	}
	var text, search string
	var seq int
	if err := w.db.Pool().QueryRow(t.Context(), `
		SELECT seq, search_text, spans -> 0 ->> 'text' FROM message WHERE channel_id = $1`,
		rows.Channels[0].ID).Scan(&seq, &search, &text); err != nil {
		t.Fatal(err)
	}
	if seq != 1 || !strings.HasPrefix(text, "Welcome to Aviary! 🎉") || search != strings.ToLower(text) {
		t.Errorf("welcome %d %q, search text %q", seq, text, search)
	}
	invites, err := w.db.Invites(t.Context(), u.ID)
	if err != nil || len(invites) != 1 || !regexp.MustCompile(`^welcome-[0-9a-f]{8}$`).MatchString(invites[0].Code) ||
		invites[0].MaxUses != nil || invites[0].DefaultCommunities[0].CommunityID != *done.DefaultCommunityID {
		t.Errorf("invites = %+v, %v", invites, err)
	}
	settings := w.run(w.s.publicSettings(w.turn(protocol.Caller{}), protocol.GetPublicSettings{})).reply.(*protocol.PublicSettings)
	if *settings != (protocol.PublicSettings{Name: "Aviary", RegistrationMode: "INVITE_ONLY", MaxFileSizeBytes: 524288000}) {
		t.Errorf("settings = %+v", settings)
	}
	if s := w.status(); s != (protocol.OnboardingStatus{HasUsers: true}) {
		t.Errorf("status = %+v", s)
	}
	wantError(t, w.setUp(protocol.SetupInstance{AdminUsername: "eve", InstanceName: "x"}).err, persistence.ErrSetupToken)
}

func TestSetUpWithoutCommunity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	no := false
	r := w.setUp(protocol.SetupInstance{AdminUsername: "ada", InstanceName: "x", CreateDefaultCommunity: &no})
	if r.err != nil || r.reply.(*protocol.SetupDone).DefaultCommunityID != nil || w.count(`SELECT count(*) FROM community`) != 0 {
		t.Errorf("result = %+v", r)
	}
}

func TestSetUpRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.status().SetupToken
	outs := make([]turn.Outcome, 20)
	for i := range outs {
		var err error
		outs[i], err = w.s.setUp(w.turn(protocol.Caller{}), protocol.SetupInstance{
			AdminUsername: "ada" + string(rune('a'+i)), InstanceName: "x", SetupToken: token, Hash: "h",
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	got := tally(race(t, outs))
	if got[""] != 1 || got["Invalid setup token"] != 19 {
		t.Errorf("results = %v", got)
	}
	if n := w.count(`SELECT count(*) FROM app_user`); n != 1 {
		t.Errorf("%d users, want 1", n)
	}

	t.Run("no longer needed", func(t *testing.T) {
		w := newWorld(t)
		token := w.status().SetupToken
		w.exec(`INSERT INTO app_user (id, username, password_hash) VALUES (gen_random_uuid(), 'operator', 'x')`)
		out, err := w.s.setUp(w.turn(protocol.Caller{}), protocol.SetupInstance{AdminUsername: "ada", InstanceName: "x", SetupToken: token})
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, finish(t.Context(), out, nil).err, persistence.ErrSetupDone)
	})
}
