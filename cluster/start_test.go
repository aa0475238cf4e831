package cluster_test

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rookery-chat/rookery/cluster"
)

func TestConfigIsChecked(t *testing.T) {
	props := func(string) *actor.Props { return nil }
	for name, cfg := range map[string]cluster.Config{
		"secret":         {Listen: "127.0.0.1:0", Secret: []byte("short")},
		"seed alone":     {Join: []string{"127.0.0.1:1"}},
		"listen":         {Listen: "127.0.0.1"},
		"port":           {Listen: "127.0.0.1:70000"},
		"kind twice":     {Kinds: []cluster.Kind{{Name: "a", Props: props}, {Name: "a", Props: props}}},
		"kind name":      {Kinds: []cluster.Kind{{Name: "a/b", Props: props}}},
		"kind of naught": {Kinds: []cluster.Kind{{Name: "a"}}},
	} {
		if n, err := cluster.Start(t.Context(), cfg); err == nil {
			t.Errorf("%s: started", name)
			_ = n.Stop(t.Context())
		}
	}
}

// The same list of seeds goes to every node, itself included, and most of them
// may be away.
func TestSeedsMayBeAwayOrOneself(t *testing.T) {
	port := freeUDP(t)
	self := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	a := start(t, cluster.Config{Listen: self, Join: []string{self, "127.0.0.1:1", "no-such-host.invalid:7946"}})
	if a.Addr() != self || len(a.View().Members) != 1 {
		t.Fatal(a.Addr(), a.View())
	}
	if m := a.View().Members[0]; m.Port <= port || m.Draining {
		t.Fatalf("%+v", m)
	}
}

// freeUDP finds a port whose neighbours are likely to be free too.
func freeUDP(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// A node that cannot listen says so, and leaves nothing behind.
func TestStartFails(t *testing.T) {
	if cluster.RaceEnabled {
		t.Skip("several nodes in one process")
	}
	a := start(t, cluster.Config{Listen: "127.0.0.1:0"})
	if _, err := cluster.Start(t.Context(), cluster.Config{Log: quiet(), Listen: a.Addr()}); err == nil || !strings.Contains(err.Error(), "gossip") {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	failing := cluster.Config{Log: quiet(), Prepare: func(*cluster.Node) error { return ctx.Err() }}
	if _, err := cluster.Start(t.Context(), failing); err == nil {
		t.Fatal("Prepare failed and the node started")
	}
}
