package protocol

import "testing"

func TestEmitEventRoom(t *testing.T) {
	const id = "0b9e6c1a-3f4d-4b7e-9a55-0c6f2f1f9a10"
	named, err := ParseID[struct{}](id)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		kind, id, room string
		topic          Room
	}{
		{"channel", id, id, RoomChannel}, {"raw", id, id, RoomChannel}, {"dmGroup", id, "dm:" + id, RoomGroup}, {"user", id, "user:" + id, RoomUser},
		{"community", id, "community:" + id, RoomCommunity}, {"raw", "user:" + id, "user:" + id, RoomUser},
		{"raw", "nowhere:" + id, "nowhere:" + id, 0}, {"channel", "x", "x", 0}, {"user", "", "user:", 0},
	} {
		e := EmitEvent{RoomType: row.kind, RoomID: row.id}
		topic, ok := e.Topic()
		want := Topic{row.topic, named}
		if e.Room() != row.room || ok != (row.topic != 0) || ok && topic != want {
			t.Errorf("%+v: %s, %v, %v", row, e.Room(), topic, ok)
		}
	}
}
