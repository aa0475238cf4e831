package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	protologger "github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"

	"github.com/rookery-chat/rookery/actors/sfu"
)

// TestVoiceThroughOwnPort joins a room through the port of the server, which forwards
// the signalling to the media server that it started.
func TestVoiceThroughOwnPort(t *testing.T) {
	t.Parallel()
	lksdk.SetLogger(protologger.GetDiscardLogger())
	n := startNode(t, "--voice", "on")
	raw, err := os.ReadFile(filepath.Join(n.data, secretsFile))
	if err != nil {
		t.Fatal(err)
	}
	var keys secrets
	if err := json.Unmarshal(raw, &keys); err != nil {
		t.Fatal(err)
	}
	mint, err := sfu.Start(sfu.Config{URL: "ws://" + n.addr, Key: voiceKey, Secret: keys.Voice})
	if err != nil {
		t.Fatal(err)
	}
	token, err := mint.Sign(sfu.Token{
		Identity: "ada", Expires: time.Now().Add(time.Hour), Grant: sfu.Grant{Room: "room", RoomJoin: true, CanPublish: true, CanSubscribe: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	room, err := lksdk.ConnectToRoomWithToken("ws://"+n.addr, token, lksdk.NewRoomCallback())
	if err != nil {
		t.Fatalf("join: %v\n%s", err, n.tail())
	}
	defer room.Disconnect()
	if state := room.ConnectionState(); state != lksdk.ConnectionStateConnected {
		t.Errorf("the connection is %v", state)
	}
	for _, path := range []string{"/rtc", "/rtc?access_token=x", "/rtc/validate?access_token=" + token + "x", "/rtc/v1"} {
		res, err := http.Get("http://" + n.addr + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	res, err := http.Get("http://" + n.addr + "/rtc/validate?access_token=" + token)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("validation of a good token: %d", res.StatusCode)
	}
}
