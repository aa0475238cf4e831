package dispatch

import (
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

// What was deleted is looked for in the database again.
func TestForget(t *testing.T) {
	d, _ := newDispatcher(t)
	in := Input{Path: map[string]string{"id": someUUID}}
	if _, err := d.Do(t.Context(), &protocol.ChannelDelete.Operation, owner, in); err != nil || d.channels.Len() != 0 {
		t.Errorf("%d channels are remembered, %v", d.channels.Len(), err)
	}
	d.know(someUUID)
	if _, err := d.Do(t.Context(), &protocol.CommunityDelete.Operation, owner, in); err != nil || d.channels.Len()+d.communities.Len() != 0 {
		t.Errorf("%d channels, %d communities are remembered, %v", d.channels.Len(), d.communities.Len(), err)
	}
	_, err := d.Do(t.Context(), &protocol.CommunityRemove.Operation, owner, in)
	if known, ok := err.(*protocol.Error); !ok || known.Message != "Community not found" { //nolint:errorlint // Do returns these only
		t.Errorf("an owner is told %v", err)
	}
}
