package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/httpapi"
)

// Guesses are limited per account, by network and all together, and none of it
// keeps the owner out of where he has been.
func TestGuesses(t *testing.T) {
	proxy, err := httpapi.ParseTrustProxy("1")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouseWith(t, httpapi.Config{TrustProxy: proxy})
	login := func(name, password, address string) *http.Response {
		t.Helper()
		body := fmt.Sprintf(`{"username":%q,"password":%q}`, name, password)
		req, err := http.NewRequest("POST", h.url+"/api/auth/login", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Forwarded-For", address)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res
	}
	want := func(what string, res *http.Response, status int) {
		t.Helper()
		if res.StatusCode != status {
			t.Errorf("%s = %d, want %d", what, res.StatusCode, status)
		}
	}
	want("the first login", login("ada", password, "10.0.0.1"), 200)
	// One network, slowly: the limit of the route never gets in the way.
	for range 20 {
		h.later(7 * time.Second)
		want("a guess", login("ada", "wrong", "10.0.0.2"), 401)
	}
	h.later(7 * time.Second)
	res := login("ADA", password, "10.0.0.2")
	want("a guess too many", res, 429)
	if res.Header.Get("Retry-After-medium") != "600" || res.Header.Get("X-RateLimit-Limit-short") != "" {
		t.Errorf("headers = %v", res.Header)
	}
	want("another account", login("bob", "wrong", "10.0.0.2"), 401)
	for _, name := range []string{"ada", "nobody"} {
		last := 0
		for i := 0; i < 110 && last != 429; i++ {
			last = login(name, "wrong", fmt.Sprintf("10.1.%d.%d", len(name), i)).StatusCode
		}
		if last != 429 {
			t.Errorf("%s can be guessed at from many networks for ever", name)
		}
	}
	want("from where nobody has been", login("ada", password, "10.0.0.3"), 429)
	want("from where the owner was", login("ada", password, "10.0.0.1"), 200)
}
