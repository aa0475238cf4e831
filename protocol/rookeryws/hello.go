package rookeryws

import (
	"encoding/json"
	"slices"
)

// Mode says how much a session is sent.
type Mode string

// The modes. An absent mode is ModeAll.
const (
	ModeAll     Mode = "all"
	ModeFocused Mode = "focused"
)

// Hello is the content of the first frame.
type Hello struct {
	Token  string   `json:"token"`
	Resume *Resume  `json:"resume,omitempty"`
	Focus  []string `json:"focus,omitempty"`
	Mode   Mode     `json:"mode,omitempty"`
	Client Client   `json:"client"`

	Figures *bool `json:"figures,omitempty"` // false: ready tells nothing of what is unread, which costs less
}

// Resume asks for the continuation of a session.
type Resume struct {
	Session string              `json:"session"`
	N       int64               `json:"n"`            // last event processed
	At      map[string]Position `json:"at,omitempty"` // per channel
}

// Position is up to where a client has seen a stream: epoch, sequence, and the
// last change; [ep, seq, rev] or [ep, seq] on the wire.
type Position struct {
	Epoch, Seq int64
	Rev        int64 // -1: not told
}

// MarshalJSON writes [ep, seq, rev], or [ep, seq].
func (p Position) MarshalJSON() ([]byte, error) {
	if p.Rev < 0 {
		return json.Marshal([2]int64{p.Epoch, p.Seq})
	}
	return json.Marshal([3]int64{p.Epoch, p.Seq, p.Rev})
}

// UnmarshalJSON reads [ep, seq, rev] and [ep, seq].
func (p *Position) UnmarshalJSON(b []byte) error {
	var pair []int64
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	if len(pair) != 2 && len(pair) != 3 || slices.Min(pair) < 0 {
		return ErrD
	}
	p.Epoch, p.Seq, p.Rev = pair[0], pair[1], -1
	if len(pair) == 3 {
		p.Rev = pair[2]
	}
	return nil
}

// Client is what the program on the other side calls itself.
type Client struct {
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
}

// Focus is the content of a focus request.
type Focus struct {
	Channels  []string `json:"channels"`
	Community string   `json:"community,omitempty"`
}

// DecodeHello reads the content of a hello. A failure is always an *Error.
func DecodeHello(d json.RawMessage) (Hello, error) {
	var h Hello
	if len(d) > 0 {
		if err := json.Unmarshal(d, &h); err != nil {
			return Hello{}, ErrD
		}
	}
	switch {
	case h.Mode == "":
		h.Mode = ModeAll
	case h.Mode != ModeAll && h.Mode != ModeFocused:
		return Hello{}, ErrD
	}
	if len(h.Focus) > MaxFocus {
		return Hello{}, ErrLimit
	}
	if r := h.Resume; r != nil {
		if r.N < 0 {
			return Hello{}, ErrD
		}
		if len(r.At) > MaxResumeAt {
			return Hello{}, ErrLimit
		}
	}
	return h, nil
}

// DecodeFocus reads the content of a focus request. A failure is always an
// *Error.
func DecodeFocus(d json.RawMessage) (Focus, error) {
	var f Focus
	if len(d) == 0 {
		return f, nil
	}
	if err := json.Unmarshal(d, &f); err != nil {
		return Focus{}, ErrD
	}
	if len(f.Channels) > MaxFocus {
		return Focus{}, ErrLimit
	}
	return f, nil
}
