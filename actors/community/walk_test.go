package community

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

// TestWalk does what comes, in any order, and finds after every step that the
// state is what is stored (see world.run).
func TestWalk(t *testing.T) {
	t.Parallel()
	w, admin := founded(t)
	owner := w.user("olga")
	owner.Owner = true
	dice := rand.New(rand.NewPCG(1, 2))
	people := []protocol.Caller{admin, owner}
	for i := range 12 {
		people = append(people, w.user(fmt.Sprintf("user%d", i)))
	}
	anyone := func() protocol.Caller { return people[dice.IntN(len(people))] }
	for i := range 60 {
		by := owner
		if dice.IntN(2) == 0 {
			by = admin
		}
		switch dice.IntN(6) {
		case 0:
			kind := []string{protocol.ChannelText, protocol.ChannelVoice}[dice.IntN(2)]
			w.run(w.s.createChannel(w.turn(by), protocol.CreateChannel{
				ID: protocol.ChannelID(protocol.NewID[row]()), Name: fmt.Sprintf("c%d", dice.IntN(30)), CommunityID: w.s.id,
				Type: kind, IsPrivate: dice.IntN(3) == 0,
			}))
		case 1, 2:
			w.add(by, anyone())
		case 3:
			who := anyone()
			w.exec(`DELETE FROM role_assignment WHERE user_id = $1 AND community_id = $2`, who.UserID, w.s.id)
			w.exec(`DELETE FROM membership WHERE user_id = $1 AND community_id = $2`, who.UserID, w.s.id)
			w.exec(`DELETE FROM channel_membership WHERE user_id = $1`, who.UserID)
			w.run(w.s.reloadMember(w.turn(protocol.Caller{}), &protocol.ReloadMember{User: who.UserID}))
		case 4:
			w.ask(w.s.channels[dice.IntN(len(w.s.channels))].ID, anyone())
		case 5:
			if i%3 == 0 {
				w.activate(w.s.id)
			} else {
				w.run(w.s.reload(w.turn(protocol.Caller{}), &protocol.ReloadCommunity{}))
			}
		}
		if t.Failed() {
			t.Fatalf("after step %d", i)
		}
	}
}
