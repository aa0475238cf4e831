package main

import (
	"testing"

	"github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/persistence/pgtest"
)

// TestParkedSessionsEnd ends logins on one node while their sessions wait on
// another for clients that are away.
func TestParkedSessionsEnd(t *testing.T) {
	nodes := startCluster(t, pgtest.NewServer(t).URL(), 2)
	ctx := within(t)
	owner, err := nodes[0].api().Setup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	admin := nodes[0].api().As(owner.Token)
	for _, test := range []struct {
		name string
		end  func(id, token string) error
	}{
		{"logout", func(_, token string) error {
			return nodes[0].api().As(token).Call(ctx, "POST", "/api/auth/logout", nil, nil)
		}},
		{"ban", func(id, _ string) error {
			return admin.Call(ctx, "PATCH", "/api/users/admin/"+id+"/ban", map[string]bool{"banned": true}, nil)
		}},
		{"deleted", func(id, _ string) error {
			return admin.Call(ctx, "DELETE", "/api/users/admin/"+id, nil, nil)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			id, token, err := nodes[0].api().Register(ctx, test.name+"ed", owner.Invite)
			if err != nil {
				t.Fatal(err)
			}
			s, err := load.Dial(ctx, nodes[1].addr, load.Options{Token: token})
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			parked := func(n int) func() bool {
				return func() bool {
					f, err := nodes[1].figures()
					return err == nil && f.Sessions.Parked == n && f.Relay.Parked == int64(n)
				}
			}
			await(t, "the session waits", parked(1))
			if err := test.end(id, token); err != nil {
				t.Fatal(err)
			}
			await(t, "the session is over", parked(0))
		})
	}
}
