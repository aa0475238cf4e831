package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
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
		said, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.getElementById("state").textContent + JSON.stringify(progress)`))
		p.t.Fatalf("%s: %v; the page says %.300s", expression, err, said)
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
	slow := newDam(t, n.addr)
	options := append(slices.Clip(chromedp.DefaultExecAllocatorOptions[:]), chromedp.NoSandbox, chromedp.WSURLReadTimeout(patience))
	browser, closed := chromedp.NewExecAllocator(context.Background(), options...)
	defer closed()
	tab := func(token string) *page {
		t.Helper()
		ctx, cancel := chromedp.NewContext(browser)
		t.Cleanup(cancel)
		p := &page{t, ctx}
		hash := url.Values{"url": {"ws://" + n.addr + "/ws"}, "token": {token}, "channel": {owner.General}, "api": {"http://" + slow.addr}}
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
	testBrowserUpload(t, a, b, slow)
	for _, line := range n.problems() {
		t.Errorf("server logged %s", line)
	}
}

// testBrowserUpload has a page upload a file, which is held up on its way until
// the page has seen how far it is, and another page download it.
func testBrowserUpload(t *testing.T, a, b *page, slow *dam) {
	t.Helper()
	content := append([]byte("PK\x03\x04"), make([]byte, 24*mib)...)
	_, _ = rand.Read(content[4:])
	path := filepath.Join(t.TempDir(), "Übersicht.zip")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	a.run(chromedp.SendKeys("#file", path), chromedp.SendKeys("#text", "a file"), chromedp.Click("#attach"))
	a.until(`progress.some((p) => p.known && p.loaded > 0 && p.loaded < p.total)`)
	b.until(`lines().includes("a file")`)
	if early, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](`document.querySelector("#log li:last-child").files.length`)); err != nil || early != 0 {
		t.Errorf("%d files are shown before they are there, %v", early, err)
	}
	close(slow.open)
	b.until(`document.querySelector("#log li:last-child").files.length === 1`)
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`download(lines().length - 1)`, chromedp.EvalAwaitPromise))
	if sum := sha256.Sum256(content); err != nil || got != fmt.Sprintf("Übersicht.zip %d %x", len(content), sum) {
		t.Errorf("the other page has %q, %v", got, err)
	}
	steps, err := chromedp.Run(a.ctx, chromedp.Evaluate[[]struct{ Loaded, Total int }](`progress`))
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, p := range steps {
		if p.Loaded < last || p.Total < len(content) {
			t.Errorf("progress %v", steps)
		}
		last = p.Loaded
	}
	if last != steps[0].Total {
		t.Errorf("the last progress is %d of %d", last, steps[0].Total)
	}
}

// dam lets connections to a node through, but of each one no more than a piece
// until it is open.
type dam struct {
	addr string
	open chan struct{}
}

const damPiece = mib

func newDam(t *testing.T, to string) *dam {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	d := &dam{addr: l.Addr().String(), open: make(chan struct{})}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go d.pass(c, to)
		}
	}()
	return d
}

func (d *dam) pass(c net.Conn, to string) {
	defer c.Close()
	s, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer s.Close()
	go func() {
		defer s.Close()
		if _, err := io.CopyN(s, c, damPiece); err == nil {
			<-d.open
			_, _ = io.Copy(s, c) // until one of them is gone
		}
	}()
	_, _ = io.Copy(c, s) // likewise
}
