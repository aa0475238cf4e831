package sfu_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	protologger "github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"

	"github.com/rookery-chat/rookery/actors/sfu"
)

const (
	key    = "rookery"
	secret = "a-secret-of-more-than-thirty-two-characters"
)

// TestMain is also the child, and the parent that is killed.
func TestMain(m *testing.M) {
	switch os.Getenv("ROOKERY_SFU_TEST") {
	case "child":
		if err := sfu.Serve(context.Background(), os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case "parent":
		parent()
	}
	lksdk.SetLogger(protologger.GetDiscardLogger())
	os.Exit(m.Run())
}

// parent runs a child and tells its process, until it is killed.
func parent() {
	s, err := sfu.Start(config())
	if err != nil {
		panic(err)
	}
	if _, err := s.Await(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println(s.Process())
	select {}
}

func config() sfu.Config {
	return sfu.Config{
		Key: key, Secret: secret, Command: []string{"/usr/bin/env", "ROOKERY_SFU_TEST=child", os.Args[0]}, Log: slog.New(slog.DiscardHandler),
	}
}

func start(t *testing.T, cfg sfu.Config) *sfu.Server {
	t.Helper()
	s, err := sfu.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func join(t *testing.T, s *sfu.Server, url, room, identity string, cb *lksdk.RoomCallback) *lksdk.Room {
	t.Helper()
	token, err := s.Sign(sfu.Token{
		Identity: identity, Name: identity, Expires: time.Now().Add(time.Hour),
		Grant: sfu.Grant{Room: room, RoomJoin: true, CanPublish: true, CanSubscribe: true, CanPublishData: true, CanUpdateOwnMetadata: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := lksdk.ConnectToRoomWithToken(url, token, cb)
	if err != nil {
		t.Fatalf("%s can't join: %v", identity, err)
	}
	t.Cleanup(r.Disconnect)
	return r
}

func TestParticipantsMeet(t *testing.T) {
	t.Parallel()
	s := start(t, config())
	url, err := s.Await(within(t))
	if err != nil {
		t.Fatal(err)
	}
	met := make(chan string, 4)
	cb := lksdk.NewRoomCallback()
	cb.OnParticipantConnected = func(p *lksdk.RemoteParticipant) { met <- p.Identity() }
	cb.OnDataPacket = func(p lksdk.DataPacket, params lksdk.DataReceiveParams) {
		met <- params.SenderIdentity + " says " + string(p.ToProto().GetUser().GetPayload())
	}
	join(t, s, url, "room", "ada", cb)
	bob := join(t, s, url, "room", "bob", lksdk.NewRoomCallback())
	if err := bob.LocalParticipant.PublishDataPacket(lksdk.UserData([]byte("hello")), lksdk.WithDataPublishReliable(true)); err != nil {
		t.Fatal(err)
	}
	heard := map[string]bool{}
	for len(heard) < 2 { // by different ways, so in any order
		select {
		case what := <-met:
			heard[what] = true
		case <-within(t).Done():
			t.Fatalf("heard only %v", heard)
		}
	}
	if !heard["bob"] || !heard["bob says hello"] {
		t.Errorf("heard %v", heard)
	}
	rooms := lksdk.NewRoomServiceClient(url, key, secret)
	list, err := rooms.ListParticipants(within(t), &livekit.ListParticipantsRequest{Room: "room"})
	if err != nil || len(list.Participants) != 2 {
		t.Errorf("participants: %v, %v", list, err)
	}
	forged := sfu.Config{URL: "ws://127.0.0.1:1", Key: key, Secret: secret + "x"}
	token, err := start(t, forged).Sign(sfu.Token{Identity: "eve", Expires: time.Now().Add(time.Hour), Grant: sfu.Grant{Room: "room", RoomJoin: true}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lksdk.ConnectToRoomWithToken(url, token, lksdk.NewRoomCallback()); err == nil {
		t.Error("a forged token opens the room")
	}
}

func TestChildIsStartedAgain(t *testing.T) {
	t.Parallel()
	cfg := config()
	running := hear(&cfg, "LiveKit is running")
	s := start(t, cfg)
	first, err := s.Await(within(t))
	if err != nil {
		t.Fatal(err)
	}
	pid := s.Process()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		select {
		case <-running:
		case <-within(t).Done():
			t.Fatal("no other child")
		}
	}
	second, err := s.Await(within(t))
	if err != nil || s.Process() == pid {
		t.Fatalf("child %d at %q after %d at %q: %v", s.Process(), second, pid, first, err)
	}
	join(t, s, second, "room", "ada", lksdk.NewRoomCallback())
	last := s.Process()
	s.Stop()
	if err := syscall.Kill(last, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the child %d is there after Stop: %v", last, err)
	}
}

func TestNoChildIsLeftBehind(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ROOKERY_SFU_TEST=parent")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(child, 0); err != nil {
		t.Fatalf("the child %d does not run: %v", child, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	ctx := within(t)
	for !gone(child) {
		if ctx.Err() != nil {
			t.Fatalf("the child %d outlives its killed parent", child)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// gone reports whether a process has ended, reaped or not.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "Z")
}

func TestUnusableChild(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Command = []string{"/usr/bin/env", "sh", "-c", "echo no such thing >&2; exit 3"}
	said := hear(&cfg, "started again")
	s := start(t, cfg)
	select {
	case text := <-said:
		if !strings.Contains(text, "no such thing") {
			t.Errorf("logged: %s", text)
		}
	case <-within(t).Done():
		t.Fatal("nothing was logged")
	}
	if s.API() != "" {
		t.Errorf("API at %q", s.API())
	}
}

// hear passes on what is logged with some words.
func hear(cfg *sfu.Config, words string) <-chan string {
	said := make(chan string, 64)
	cfg.Log = slog.New(slog.NewTextHandler(writer(func(p []byte) {
		if strings.Contains(string(p), words) {
			select {
			case said <- string(p):
			default:
			}
		}
	}), nil))
	return said
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s := start(t, sfu.Config{URL: "wss://voice.example", Key: key, Secret: secret})
	want := sfu.Token{Identity: "u", Name: "Ada", Grant: sfu.Grant{Room: "r", RoomJoin: true, CanPublish: true}, Expires: time.Now().Add(time.Hour).Truncate(time.Second)}
	signed, err := s.Sign(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Verify(signed)
	if err != nil || got.Identity != want.Identity || got.Grant.Room != want.Grant.Room || !got.Expires.Equal(want.Expires) {
		t.Errorf("got %+v, %v", got, err)
	}
	old, err := s.Sign(sfu.Token{Identity: "u", Expires: time.Now().Add(-time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "x", signed + "x", old} {
		if _, err := s.Verify(bad); !errors.Is(err, sfu.ErrToken) {
			t.Errorf("token %q: %v", bad, err)
		}
	}
	if url, err := s.Await(within(t)); err != nil || url != "https://voice.example" {
		t.Errorf("API at %q, %v", url, err)
	}
}

func TestConfigContradicts(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]sfu.Config{
		"no secret":      {URL: "wss://voice.example", Key: key},
		"no scheme":      {URL: "voice.example", Key: key, Secret: secret},
		"only internal":  {InternalURL: "ws://127.0.0.1"},
		"wrong internal": {URL: "wss://voice.example", InternalURL: "ftp://x", Key: key, Secret: secret},
	} {
		if _, err := sfu.Start(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
