package instance

import (
	"crypto/sha256"
	"testing"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

func TestResetPassword(t *testing.T) {
	t.Parallel()
	w, owner, _ := ready(t)
	mia := w.user("mia", w.invite(owner, protocol.CreateInvite{}).Code)
	bad := protocol.BadRequest("Invalid or expired reset link")
	link := func(token string, byOwner bool, life protocol.Instant) [32]byte {
		t.Helper()
		hash := sha256.Sum256([]byte(token))
		err := w.db.StoreReset(t.Context(), persistence.NewReset{
			User: mia.ID, By: owner.UserID, ByOwner: byOwner, Hash: hash, At: w.now, Expires: w.now + life,
		})
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	reset := func(token [32]byte) turn.Outcome {
		t.Helper()
		return w.commit(w.s.resetPassword(w.turn(protocol.Caller{Address: "10.1.2.3"}), protocol.ResetPassword{TokenHash: token, Hash: "new"}))
	}
	first := link("first", false, 1e6)
	second := link("second", false, 1e6)
	wantError(t, w.run(reset(first), nil).err, bad) // replaced by the second

	w.exec(`UPDATE app_user SET role = 'OWNER' WHERE id = $1`, mia.ID)
	wantError(t, w.run(reset(second), nil).err, bad) // made by somebody who is no owner
	w.exec(`UPDATE app_user SET role = 'USER' WHERE id = $1`, mia.ID)
	expired := link("expired", true, 0)
	wantError(t, w.run(reset(expired), nil).err, bad)

	good := link("good", true, 1e6)
	outs := make([]turn.Outcome, 10)
	for i := range outs {
		outs[i] = reset(good)
	}
	if got := tally(race(t, outs)); got[""] != 1 || got[bad.Message] != 9 {
		t.Errorf("a link was used %v times", got)
	}
	if row, err := w.db.UserForLogin(t.Context(), "mia"); err != nil || row.Hash != "new" {
		t.Errorf("account = %+v, %v", row, err)
	}
	if known, err := w.db.KnownPlace(t.Context(), mia.ID, "10.1.2.3"); err != nil || !known {
		t.Errorf("the place of the reset is known: %v, %v", known, err)
	}

	r := w.run(reset(link("again", true, 1e6)), nil)
	if r.err != nil || len(r.asks) != 1 || *r.asks[0].Msg.(*protocol.EndSessions) != (protocol.EndSessions{Reason: reasonReset}) ||
		len(r.accounts) != 1 || r.accounts[0] != mia.ID {
		t.Errorf("who is told: %+v", r)
	}
}
