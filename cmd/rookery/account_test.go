package main

import (
	"archive/zip"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// TestAccount is the life of an account beyond the contract: a new password, a
// reset link, an export, the end.
func TestAccount(t *testing.T) {
	t.Parallel()
	n := startNode(t, "--rate-limits", "off", "--database-url", pgtest.New(t).Pool().Config().ConnString())
	ctx := within(t)
	owner, err := n.api().Setup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	id, old, err := n.api().Register(ctx, "mia", owner.Invite)
	if err != nil {
		t.Fatal(err)
	}
	mia := n.api().As(old)
	if err := mia.Call(ctx, "POST", "/api/messages", map[string]any{
		"channelId": owner.General, "attachments": []any{}, "spans": []any{map[string]any{"type": "PLAINTEXT", "text": "it was me"}},
	}, nil); err != nil {
		t.Fatal(err)
	}
	fails := func(what, want string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", what, err, want)
		}
	}
	var tokens struct{ AccessToken string }
	change := func(from, to string) error {
		return mia.Call(ctx, "PATCH", "/api/account/password", map[string]any{"currentPassword": from, "newPassword": to}, &tokens)
	}
	socket := dialNative(t, n, old) // of a login that ends
	session, err := secondLogin(n, "mia")
	if err != nil {
		t.Fatal(err)
	}
	mia = n.api().As(session)
	fails("wrong password", "Current password is incorrect", change("wrong", "a new password"))
	fails("short password", "newPassword must be longer than or equal to 8 characters", change(load.Password, "short"))
	if err := change(load.Password, "a new password"); err != nil {
		t.Fatal(err)
	}
	socket.closeCode()
	fails("another login", "401", n.api().As(old).Call(ctx, "GET", "/api/users/profile", nil, nil))
	mia = n.api().As(tokens.AccessToken)
	if err := mia.Call(ctx, "GET", "/api/users/profile", nil, nil); err != nil {
		t.Errorf("the login goes on: %v", err)
	}
	_, err = n.api().Login(ctx, "mia")
	fails("the old password", "401", err)

	// A link of the administrator, in a browser.
	var link struct{ Token, URL string }
	if err := n.api().As(owner.Token).Call(ctx, "POST", "/api/users/admin/"+id+"/password-reset", nil, &link); err != nil {
		t.Fatal(err)
	}
	page, err := http.Get(link.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Body.Close()
	if html, err := io.ReadAll(page.Body); err != nil || page.StatusCode != http.StatusOK || !strings.Contains(string(html), link.Token) {
		t.Errorf("page = %d %s %v", page.StatusCode, html, err)
	}
	for _, form := range []struct {
		password string
		want     int
	}{{"short", 400}, {load.Password, 200}, {"used already", 400}} {
		done, err := http.PostForm(n.url()+"/reset", url.Values{"token": {link.Token}, "newPassword": {form.password}})
		if err != nil {
			t.Fatal(err)
		}
		_ = done.Body.Close()
		if done.StatusCode != form.want {
			t.Errorf("form with %q = %d, want %d", form.password, done.StatusCode, form.want)
		}
	}
	fails("a used link", "Invalid or expired reset link", n.api().Call(ctx, "POST", "/api/account/password-reset",
		map[string]any{"token": link.Token, "newPassword": "longenough"}, nil))
	fails("a login from before", "401", mia.Call(ctx, "GET", "/api/users/profile", nil, nil))
	token, err := n.api().Login(ctx, "mia")
	if err != nil {
		t.Fatal(err)
	}
	mia = n.api().As(token)

	exported := export(t, n, token)
	for file, want := range map[string]string{
		"profile.jsonl": `"username" : "mia"`, "messages.jsonl": "it was me", "memberships.jsonl": owner.Community, "sessions.jsonl": "127.0.0.1",
	} {
		if !strings.Contains(exported[file], want) {
			t.Errorf("%s = %q, want %q", file, exported[file], want)
		}
	}
	if len(exported) != 9 || strings.Contains(exported["profile.jsonl"], "argon2") {
		t.Errorf("export = %v", exported)
	}

	leave := func(password string) error {
		return mia.Call(ctx, "DELETE", "/api/account", map[string]any{"currentPassword": password}, nil)
	}
	fails("wrong password", "Current password is incorrect", leave("wrong"))
	socket = dialNative(t, n, token)
	if err := leave(load.Password); err != nil {
		t.Fatal(err)
	}
	socket.closeCode()
	fails("a deleted account", "401", mia.Call(ctx, "GET", "/api/users/profile", nil, nil))
	var messages struct{ Messages []map[string]any }
	if err := n.api().As(owner.Token).Call(ctx, "GET", "/api/messages/channel/"+owner.General, nil, &messages); err != nil {
		t.Fatal(err)
	}
	if m := messages.Messages[0]; m["authorId"] != nil {
		t.Errorf("author = %v", m["authorId"])
	}
	mia = n.api().As(owner.Token)
	fails("the last owner", "Cannot delete the last owner", leave(load.Password))
}

// secondLogin logs in from another device.
func secondLogin(n *node, name string) (string, error) {
	req, err := http.NewRequest("POST", n.url()+"/api/auth/login", strings.NewReader(`{"username":"`+name+`","password":"`+load.Password+`"}`))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Firefox on Linux")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	for _, c := range res.Cookies() {
		if c.Name == "access_token" {
			return c.Value, nil
		}
	}
	return "", http.ErrNoCookie
}

// export reads the files of an export.
func export(t *testing.T, n *node, token string) map[string]string {
	t.Helper()
	req, err := http.NewRequest("GET", n.url()+"/api/account/export", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/zip" {
		t.Fatalf("export = %d %v %v", res.StatusCode, res.Header, err)
	}
	archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
	}
	return files
}
