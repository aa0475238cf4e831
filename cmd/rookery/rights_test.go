package main

import (
	"testing"

	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// TestRightsOfOpenSockets: what an account may do on the instance is decided for
// every operation, not at login, on every node.
func TestRightsOfOpenSockets(t *testing.T) {
	nodes := startCluster(t, pgtest.NewServer(t).URL(), 2)
	ctx := within(t)
	owner, err := nodes[0].api().Setup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	id, token, err := nodes[0].api().Register(ctx, "second", owner.Invite)
	if err != nil {
		t.Fatal(err)
	}
	sockets := []*nativeClient{dialNative(t, nodes[0], token), dialNative(t, nodes[1], token)}
	next := int64(0)
	settings := func(c *nativeClient) string {
		next++
		if f := c.call(next, "instance.settings", nil); f.Err != nil {
			return f.Err.Code
		}
		return "ok"
	}
	for _, c := range sockets {
		c.until("ready", func(f frame) bool { return f.Ev == "ready" })
		if got := settings(c); got != "forbidden" {
			t.Errorf("an ordinary user reads the settings: %s", got)
		}
	}
	for _, step := range []struct{ role, want string }{{"OWNER", "ok"}, {"USER", "forbidden"}} {
		err := nodes[0].api().As(owner.Token).Call(ctx, "PATCH", "/api/users/admin/"+id+"/role", map[string]string{"role": step.role}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range sockets {
			if got := settings(c); got != step.want {
				t.Errorf("socket %d as %s: %s, want %s", i, step.role, got, step.want)
			}
		}
	}
}
