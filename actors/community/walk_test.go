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
	for i := range 120 {
		by := owner
		if dice.IntN(2) == 0 {
			by = admin
		}
		somewhere := func() protocol.ChannelID { return protocol.ChannelID(protocol.NewID[row]()) }
		if len(w.s.channels) > 0 {
			at := dice.IntN(len(w.s.channels))
			somewhere = func() protocol.ChannelID { return w.s.channels[at].ID }
		}
		switch dice.IntN(13) {
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
			w.ask(somewhere(), anyone())
		case 6:
			w.update(by, protocol.UpdateChannel{ID: somewhere(), IsPrivate: ptr(dice.IntN(2) == 0), Position: ptr(dice.IntN(4))})
		case 7:
			w.run(w.s.moveChannelUp(w.turn(by), protocol.MoveChannelUp{ID: somewhere()}))
		case 8:
			w.leave(anyone())
		case 9:
			w.remove(by, anyone())
		case 10:
			w.run(w.s.addChannelMember(w.turn(by), protocol.AddChannelMember{ChannelID: somewhere(), UserID: anyone().UserID}))
		case 11:
			w.run(w.s.leaveChannel(w.turn(anyone()), protocol.LeaveChannel{ChannelID: somewhere()}))
		case 12:
			if i%4 == 0 {
				w.run(w.s.deleteChannel(w.turn(by), protocol.DeleteChannel{ID: somewhere()}))
			}
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
