package connection_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

// A window of a community in which nobody is told who comes and goes is told so of
// the members that it shows, and of no others, until it is closed.
func TestWindowOfAQuietCommunity(t *testing.T) {
	w := newWorld(t)
	u, a, b, other := newUser(), newUser(), newUser(), newUser()
	community := protocol.CommunityID(newChannel())
	w.do = func(*protocol.Operation, protocol.Caller, json.RawMessage) (any, error) {
		return json.RawMessage(fmt.Sprintf(`[{"userId":"%s"},{"userId":"%s"}]`, a, b)), nil
	}
	w.change(func() {
		w.rooms[u] = []protocol.Topic{protocol.CommunityTopic(community)}
		w.online, w.quiet, w.present = 5000, true, []protocol.UserID{a, other}
	})
	c, _ := hello(t, w.nodes[0], u)
	c.send(fmt.Sprintf(`{"id":1,"op":"member.window","d":{"communityId":"%s","count":2}}`, community))
	c.expect(fmt.Sprintf(`{"id":1,"ok":[{"userId":"%s"},{"userId":"%s"}]}`, a, b))
	c.expect(fmt.Sprintf(`{"ev":"presence.count","d":{"communityId":"%s","online":5000}}`, community))
	c.expect(fmt.Sprintf(`{"ev":"presence.window","d":{"communityId":"%s","online":["%s"],"offline":[]}}`, community, a))
	w.change(func() { w.present = []protocol.UserID{b} })
	c.expect(fmt.Sprintf(`{"ev":"presence.window","d":{"communityId":"%s","online":["%s"],"offline":["%s"]}}`, community, b, a))
	w.change(func() { w.present = []protocol.UserID{b, other} }) // not shown
	w.change(func() { w.present = []protocol.UserID{other} })
	c.expect(fmt.Sprintf(`{"ev":"presence.window","d":{"communityId":"%s","online":[],"offline":["%s"]}}`, community, b))
	c.send(fmt.Sprintf(`{"id":2,"op":"member.window","d":{"communityId":"%s","count":0}}`, community))
	c.expect(`{"id":2,"ok":null}`)
}
