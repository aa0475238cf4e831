package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// page is a tab of a real browser with the chat of testdata/client/chat.html.
type page struct {
	t   *testing.T
	ctx context.Context
}

func (p *page) run(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

// until waits until an expression is true in the page.
func (p *page) until(expression string) {
	p.t.Helper()
	if _, err := chromedp.Run(p.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(patience))); err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
}

// await waits until the page shows a state.
func (p *page) await(state string) {
	p.t.Helper()
	p.until(fmt.Sprintf(`document.getElementById("state").textContent === %q`, state))
}

func (p *page) say(text string) {
	p.t.Helper()
	p.run(chromedp.SendKeys("#text", text), chromedp.Click("#send"))
}

// shows waits until the page has so many lines and compares them.
func (p *page) shows(want ...string) {
	p.t.Helper()
	p.until(fmt.Sprintf(`lines().length >= %d`, len(want)))
	got, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]string](`lines()`))
	if err != nil {
		p.t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		p.t.Errorf("the page shows %q, want %q", got, want)
	}
}

// TestBrowser lets two users chat from pages in a real browser, by the native
// protocol; one of them is away for a moment and misses nothing.
func TestBrowser(t *testing.T) {
	files := httptest.NewServer(http.FileServer(http.Dir("testdata/client")))
	defer files.Close()
	n := startNode(t, "--database-url", pgtest.NewServer(t).URL(), "--cors-origin", files.URL)
	owner, err := n.api().Setup(within(t))
	if err != nil {
		t.Fatal(err)
	}
	_, guest, err := n.api().Register(within(t), "guest", owner.Invite)
	if err != nil {
		t.Fatal(err)
	}
	options := append(slices.Clip(chromedp.DefaultExecAllocatorOptions[:]), chromedp.NoSandbox, chromedp.WSURLReadTimeout(patience))
	browser, closed := chromedp.NewExecAllocator(context.Background(), options...)
	defer closed()
	tab := func(token string) *page {
		t.Helper()
		ctx, cancel := chromedp.NewContext(browser)
		t.Cleanup(cancel)
		p := &page{t, ctx}
		hash := url.Values{"url": {"ws://" + n.addr + "/ws"}, "token": {token}, "channel": {owner.General}}
		p.run(chromedp.Navigate(files.URL + "/chat.html#" + hash.Encode()))
		p.await("ready")
		return p
	}
	a, b := tab(owner.Token), tab(guest)
	a.say("hello from a")
	b.shows("hello from a")
	b.say("hello from b")
	a.shows("hello from a", "hello from b")
	b.shows("hello from a", "hello from b")

	b.until(`cut(), true`)
	a.say("did you hear this?")
	b.await("resumed")
	b.say("yes")
	a.shows("hello from a", "hello from b", "did you hear this?", "yes")
	b.shows("hello from a", "hello from b", "did you hear this?", "yes")
	for _, line := range n.problems() {
		t.Errorf("server logged %s", line)
	}
}
