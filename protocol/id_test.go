package protocol

import (
	"encoding/json"
	"testing"
	"time"
)

func TestIDsGrow(t *testing.T) {
	last := NewID[messageTag]()
	for range 10_000 {
		next := NewID[messageTag]()
		if next.String() <= last.String() {
			t.Fatalf("%s after %s", next, last)
		}
		if next[6]>>4 != 7 || next[8]>>6 != 2 {
			t.Fatalf("%s is not a UUIDv7", next)
		}
		last = next
	}
	if d := time.Since(last.Time()); d > time.Hour || d < -time.Hour {
		t.Errorf("the time of %s is %s", last, last.Time())
	}
}

func TestIDForms(t *testing.T) {
	id := NewID[userTag]()
	raw, err := json.Marshal(map[UserID]*UserID{id: &id})
	if err != nil {
		t.Fatal(err)
	}
	var back map[UserID]*UserID
	if err := json.Unmarshal(raw, &back); err != nil || back[id] == nil || *back[id] != id {
		t.Fatalf("%s: %v", raw, err)
	}
	for _, bad := range []string{"", "x", id.String()[1:], id.String() + "0", "0190f5fe-7c00-7a00-8000-00000000000g", "0190f5fe07c00-7a00-8000-000000000000"} {
		if _, err := ParseID[userTag](bad); err == nil {
			t.Errorf("%q is taken for an id", bad)
		}
	}
	if upper, err := ParseID[userTag]("0190F5FE-7C00-7A00-8000-00000000ABCD"); err != nil || upper.String() != "0190f5fe-7c00-7a00-8000-00000000abcd" {
		t.Errorf("upper case: %s %v", upper, err)
	}
	if (UserID{}).Ptr() != nil || id.Ptr() == nil {
		t.Error("Ptr of zero must be nil, of others not")
	}
}

func TestInstantForms(t *testing.T) {
	i := InstantOf(time.Date(2025, 1, 2, 3, 4, 5, 600_000_000, time.UTC))
	raw, err := json.Marshal(i)
	if err != nil || string(raw) != `"2025-01-02T03:04:05.600Z"` {
		t.Fatalf("%s %v", raw, err)
	}
	var back Instant
	if err := json.Unmarshal([]byte(`"2025-01-02T04:04:05.6+01:00"`), &back); err != nil || back != i {
		t.Errorf("%s %v", back, err)
	}
}

func TestActionSet(t *testing.T) {
	if n := len(AllActions()); n != 55 {
		t.Errorf("%d actions", n)
	}
	s := NewActionSet(ActionCreateMessage, ActionMuteParticipant)
	raw, err := json.Marshal(s)
	if err != nil || string(raw) != `["CREATE_MESSAGE","MUTE_PARTICIPANT"]` {
		t.Errorf("%s %v", raw, err)
	}
	var back ActionSet
	if err := json.Unmarshal(raw, &back); err != nil || back != s || !back.Has(ActionNone) || back.Has(ActionBanUser) {
		t.Errorf("%v %v", back, err)
	}
}
