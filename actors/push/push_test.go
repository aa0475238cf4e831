package push

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

func TestPublic(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"1.1.1.1", "142.250.1.1", "2606:4700::1111", "::ffff:1.1.1.1"} {
		if !public(netip.MustParseAddr(good)) {
			t.Errorf("%s is public", good)
		}
	}
	for _, bad := range []string{
		"127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.8",
		"198.18.0.1", "203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
		"64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::1", "2001::1", "2001:db8::1", "fec0::1",
	} {
		if public(netip.MustParseAddr(bad)) {
			t.Errorf("%s is not public", bad)
		}
	}
}

// A name that leads inside is found out when it is dialled, and so is a redirect.
func TestClientStaysOutside(t *testing.T) {
	t.Parallel()
	reached := false
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	t.Cleanup(inside.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(inside.URL, "http://"), ":")
	client := newClient(false, &http.Transport{})
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		resp, err := client.Get("http://" + host + ":" + port)
		if err == nil {
			resp.Body.Close()
		}
		if !errors.Is(err, errForbidden) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if reached {
		t.Error("the server inside was reached")
	}
	away := httptest.NewServer(http.RedirectHandler(inside.URL, http.StatusTemporaryRedirect))
	t.Cleanup(away.Close)
	resp, err := newClient(true, &http.Transport{}).Get(away.URL)
	if err != nil || resp.StatusCode != http.StatusTemporaryRedirect || reached {
		t.Errorf("a redirect was followed: %v %v", resp, err)
	}
	if resp != nil {
		resp.Body.Close()
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	keys, err := NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := base64.RawURLEncoding.DecodeString(s.PublicKey()); err != nil || len(raw) != 65 || raw[0] != 4 {
		t.Errorf("public key = %q", s.PublicKey())
	}
	browser, _ := ecdh.P256().GenerateKey(rand.Reader)
	good := protocol.SubscriptionKeys{
		P256DH: base64.URLEncoding.EncodeToString(browser.PublicKey().Bytes()), Auth: base64.RawURLEncoding.EncodeToString(make([]byte, 16)),
	}
	if err := s.Check(protocol.Subscribe{Endpoint: "https://push.example.org/abc", Keys: good}); err != nil {
		t.Error(err)
	}
	for _, endpoint := range []string{
		"", "http://push.example.org/", "https://", "https://localhost/", "https://localhost./", "https://a.localhost/", "https://postgres/", "https://127.0.0.1/", "https://[::1]/",
		"https://169.254.169.254/latest", "https://user:pass@push.example.org/", "ftp://push.example.org/", "https:push.example.org", "https://[fe80::1%25eth0]/", "https://[::ffff:10.0.0.1]/",
	} {
		if err := s.Check(protocol.Subscribe{Endpoint: endpoint, Keys: good}); !errors.Is(err, errEndpoint) {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
	for _, bad := range []protocol.SubscriptionKeys{{}, {P256DH: good.P256DH}, {P256DH: good.Auth, Auth: good.Auth}, {P256DH: good.P256DH, Auth: "AAAA"}, {P256DH: "???", Auth: good.Auth}} {
		if err := s.Check(protocol.Subscribe{Endpoint: "https://push.example.org/", Keys: bad}); !errors.Is(err, errKeys) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	other, _ := NewKeys()
	for _, bad := range []persistence.VAPID{{}, {Public: keys.Public}, {Public: keys.Public, Private: other.Private}, {Public: "x", Private: keys.Private}} {
		if _, err := New(Config{Keys: bad}); err == nil {
			t.Errorf("keys %+v were taken", bad)
		}
	}
}

func TestPayload(t *testing.T) {
	t.Parallel()
	shown, name := "Ada", "general"
	long := strings.Repeat("ä", 120)
	channel := protocol.ChannelID{1}
	spans := []byte(`[{"text":"hello"},{"text":null},{"text":"@bob"}]`)
	for _, tt := range []struct {
		d           persistence.Delivery
		title, body string
	}{
		{persistence.Delivery{Type: protocol.NoticeUserMention, Channel: &channel, ChannelName: &name, AuthorShown: &shown, Spans: spans}, "#general", "Ada: hello @bob"},
		{persistence.Delivery{Type: protocol.NoticeUserMention, Channel: &channel, ChannelName: &name, AuthorName: "ada"}, "#general", "ada mentioned you"},
		{persistence.Delivery{Type: protocol.NoticeDirectMessage, AuthorName: "ada", Spans: spans}, "Message from ada", "hello @bob"},
		{persistence.Delivery{Type: protocol.NoticeDirectMessage}, "Message from Someone", "New message"},
		{persistence.Delivery{Type: protocol.NoticeChannelMessage, Channel: &channel, ChannelName: &name, AuthorName: "ada"}, "#general", "ada sent a message"},
		{persistence.Delivery{Type: protocol.NoticeThreadReply, AuthorName: "ada"}, "New notification", "ada replied to a thread"},
		{persistence.Delivery{Type: protocol.NoticeSpecialMention, AuthorName: "ada", Spans: spans}, "New notification", "You have a new notification"},
		{persistence.Delivery{Type: protocol.NoticeDirectMessage, AuthorName: "ada", Spans: []byte(`[{"text":"` + long + `"}]`)}, "Message from ada", strings.Repeat("ä", 100) + "..."},
	} {
		if p := payloadOf(&tt.d); p.Title != tt.title || p.Body != tt.body {
			t.Errorf("%+v: %q %q", tt.d, p.Title, p.Body)
		}
	}
}

func TestUndisturbedByTheOwnClock(t *testing.T) {
	t.Parallel()
	start, end, zone := "22:00", "07:00", "Asia/Tokyo"
	d := persistence.Delivery{DoNotDisturb: true, DNDStart: &start, DNDEnd: &end, TimeZone: &zone}
	if !undisturbed(&d, time.Date(2026, 11, 24, 14, 0, 0, 0, time.UTC)) || undisturbed(&d, time.Date(2026, 11, 24, 23, 0, 0, 0, time.UTC)) {
		t.Error("23:00 in Tokyo disturbs, or 8:00 does not")
	}
}
