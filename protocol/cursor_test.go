package protocol

import "testing"

func TestCursorToken(t *testing.T) {
	channel, other := InChannel(NewID[channelTag]()), InGroup(NewID[groupTag]())
	for _, seq := range []int64{1, 2, 255, 256, 1 << 20, maxCursorSeq} {
		token := Cursor{channel, seq}.Token()
		if token[14] != '8' || token[19] != '8' {
			t.Errorf("%s is not a UUID of version 8", token)
		}
		if kind, c, _ := ReadToken(channel, token); kind != TokenCursor || c.Seq != seq || c.In != channel {
			t.Errorf("seq %d came back as %v %+v", seq, kind, c)
		}
		if kind, _, _ := ReadToken(other, token); kind != TokenForeign {
			t.Errorf("seq %d is taken by another channel as %v", seq, kind)
		}
	}
}

func TestReadTokenKinds(t *testing.T) {
	id := NewID[messageTag]()
	for token, want := range map[string]TokenKind{
		"":                                     TokenNone,
		"junk":                                 TokenForeign,
		"00000000-0000-0000-0000-000000000000": TokenForeign,
		"00000000-0000-4000-8000-000000000000": TokenMessage,
		"00000000-0000-8000-8000-000000000001": TokenForeign,
		id.String():                            TokenMessage,
	} {
		kind, _, got := ReadToken(InChannel(ChannelID{1}), token)
		if kind != want || kind == TokenMessage && got.String() != token {
			t.Errorf("ReadToken(%q) = %v %v, want %v", token, kind, got, want)
		}
	}
}

func FuzzReadToken(f *testing.F) {
	f.Add("")
	f.Add(Cursor{InChannel(ChannelID{1}), 7}.Token())
	f.Fuzz(func(t *testing.T, token string) {
		if kind, c, _ := ReadToken(InChannel(ChannelID{1}), token); kind == TokenCursor {
			if again, d, _ := ReadToken(InChannel(ChannelID{1}), c.Token()); again != TokenCursor || d != c {
				t.Errorf("%q: %+v became %+v", token, c, d)
			}
		}
	})
}
