package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// TestOrderOfProcessing asks with everything wrong, and takes away one fault after
// the other: what is refused first is what the contract puts first.
func TestOrderOfProcessing(t *testing.T) {
	t.Parallel()
	n := startNode(t, "--rate-limits", "on", "--database-url", pgtest.New(t).Pool().Config().ConnString())
	ctx := within(t)
	owner, err := n.api().Setup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, member, err := n.api().Register(ctx, "mia", owner.Invite)
	if err != nil {
		t.Fatal(err)
	}
	const (
		unknown = "0b9e6c1a-3f4d-4b7e-9a55-0c6f2f1f9a10"
		form    = "application/x-www-form-urlencoded"
	)
	ask := func(method, path, token, body string, header ...string) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, method, n.url()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept-Encoding", "identity")
		for _, h := range header {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Set(name, value)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Access-Control-Allow-Credentials") != "true" {
			t.Errorf("%s %s: %d without the headers of every answer", method, path, res.StatusCode)
		}
		if counted := res.Header.Get("X-RateLimit-Limit-short") != ""; counted && res.StatusCode == http.StatusUnauthorized {
			t.Errorf("%s %s: who has no token is counted", method, path)
		}
		return answer{status: res.StatusCode, body: string(text)}
	}
	for _, step := range []struct {
		name, method, path, token, body string
		status                          int
		want                            string
	}{
		{"preflight", "OPTIONS", "/api/nope", "", "{bad", 204, ``},
		{"1 body, parsed before anything", "PATCH", "/api/nope", "", "{bad", 400, `in JSON at position`},
		{"1 body, of a size", "PATCH", "/api/nope", "", `{"x":"` + strings.Repeat("x", 102_400) + `"}`, 413, `request entity too large`},
		{"2 route", "PATCH", "/api/nope?a=b", "", "{}", 404, `"Cannot PATCH /api/nope?a=b"`},
		{"3 token", "PATCH", "/api/channels/x", "", `{"name":5}`, 401, `{"message":"Unauthorized","statusCode":401}`},
		{"3 token of nobody", "PATCH", "/api/channels/x", "abc", `{"name":5}`, 401, `{"message":"Unauthorized","statusCode":401}`},
		{"5 permission, with a bad id", "PATCH", "/api/channels/x", member, `{"name":5}`, 403, `"Forbidden resource"`},
		{"5 permission, of what is not there", "PATCH", "/api/channels/" + unknown, member, `{"name":5}`, 403, `"Forbidden resource"`},
		{"5 permission, with a bad body", "PATCH", "/api/channels/" + owner.General, member, `{"name":5}`, 403, `"Forbidden resource"`},
		{"6 id", "PATCH", "/api/channels/x", owner.Token, `{"name":5}`, 400, `"Validation failed (uuid is expected)"`},
		{"6 body", "PATCH", "/api/channels/" + owner.General, owner.Token, `{"name":5}`, 400, `name must be a string`},
		{"7 handler", "PATCH", "/api/channels/" + unknown, owner.Token, `{"name":"x"}`, 404, `"Channel not found"`},
		{"nothing wrong", "PATCH", "/API/Channels/" + strings.ToUpper(owner.General) + "/", owner.Token, `{"name":"lobby","unknown":[{}]}`, 200, `"name":"lobby"`},
	} {
		if got := ask(step.method, step.path, step.token, step.body); got.status != step.status || !strings.Contains(got.body, step.want) {
			t.Errorf("%s: %s %s = %v, want %d %s", step.name, step.method, step.path, got, step.status, step.want)
		}
	}

	// 4 the limit is before permission and validation, and counts each user apart.
	limited := false
	for range 600 { // more than fit into any window, however slow the machine is
		got := ask("PATCH", "/api/channels/x", member, `{"name":5}`)
		if limited = got.status == http.StatusTooManyRequests; limited {
			break
		}
		if got.status != http.StatusForbidden {
			t.Fatalf("under the limit: %v", got)
		}
	}
	if !limited {
		t.Error("refused requests are not counted")
	}
	if got := ask("PATCH", "/api/channels/x", owner.Token, `{}`); got.status != 400 {
		t.Errorf("another user at the limit of the first: %v", got)
	}

	// What a body may be: a form, of exactly the limit, on DELETE, missing.
	if got := ask("POST", "/api/auth/login", "", "username=mia&password="+strings.ReplaceAll(load.Password, " ", "+"), "Content-Type: "+form); got.status != 200 && got.status != 201 {
		t.Errorf("login by a form: %v", got)
	}
	full := `{"name":"full","x":"`
	full += strings.Repeat("x", 102_400-len(full)-2) + `"}`
	if got := ask("POST", "/api/community", owner.Token, full); got.status != 201 {
		t.Errorf("a body of exactly 100 KiB: %v", got)
	}
	if got := ask("DELETE", "/api/moderation/message/"+unknown, owner.Token, `{"reason":5}`); got.status != 400 || !strings.Contains(got.body, "reason must be a string") {
		t.Errorf("DELETE with a body: %v", got)
	}
	if got := ask("DELETE", "/api/moderation/message/"+unknown, owner.Token, ``); got.status != 404 {
		t.Errorf("DELETE without a body: %v", got)
	}
}
