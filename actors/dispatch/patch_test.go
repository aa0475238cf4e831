package dispatch

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/rookery-chat/rookery/protocol"
)

type profile struct {
	Name   protocol.Patch[string]         `json:"name" rule:"optional,max=3,string"`
	Until  protocol.Patch[int64]          `json:"until" rule:"optional,numeric,min=0,number,whole"`
	Parent protocol.Patch[protocol.AnyID] `json:"parent" rule:"optional,uuid"`
	Limit  int                            `query:"limit" json:"limit" rule:"queryLimit=50"`
	Skip   int                            `query:"skip" json:"skip" rule:"queryOffset=0"`
	Data   json.RawMessage                `json:"data" rule:"optional,object"`
}

func decodeProfile(t *testing.T, in Input) (profile, *protocol.Error) {
	t.Helper()
	op := protocol.Operation{Name: "x", Home: protocol.KindEdge}
	p := &plan{op: &op, command: reflect.TypeFor[protocol.Command[profile]](), byName: map[string]int{}, key: -1, newID: -1}
	p.caller, p.req, p.invalid = fieldIndex(p.command, "Caller"), fieldIndex(p.command, "Req"), fieldIndex(p.command, "Invalid")
	p.compile(reflect.TypeFor[profile]())
	d := p.decode(protocol.Caller{}, in)
	return d.command.Interface().(*protocol.Command[profile]).Req, d.fault
}

func TestPatch(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]profile{
		`{}`: {},
		`{"name":null,"until":null,"parent":null}`: {
			Name: protocol.Cleared[string](), Until: protocol.Cleared[int64](), Parent: protocol.Cleared[protocol.AnyID]()},
		`{"name":"","until":"12","data":{"a":1}}`: {
			Name: protocol.To(""), Until: protocol.To(int64(12)), Data: json.RawMessage(`{"a":1}`)},
		`{"name":"abc","until":7}`: {Name: protocol.To("abc"), Until: protocol.To(int64(7))},
	} {
		want.Limit = 50
		got, fault := decodeProfile(t, Input{Body: json.RawMessage(body)})
		if fault != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", body, got, fault)
		}
	}
	for body, want := range map[string]string{
		`{"name":"abcd"}`:  "name must be shorter than or equal to 3 characters",
		`{"until":1.5}`:    "until must be an integer number",
		`{"until":"-1"}`:   "until must not be less than 0",
		`{"until":"many"}`: "until must not be less than 0",
		`{"data":[]}`:      "data must be an object",
	} {
		if _, fault := decodeProfile(t, Input{Body: json.RawMessage(body)}); fault == nil || fault.Message != want {
			t.Errorf("%s: %v", body, fault)
		}
	}
}

func TestIntegerQueries(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		limit, skip string
		wantLimit   int
		wantSkip    int
		bad         bool
	}{
		{"", "", 1, 0, false}, {"1e1", "5", 10, 5, false}, {"-3", "-3", 1, 0, false}, {"900", "900", 200, 900, false},
		{"10", "x", 10, 0, false}, {"x", "0", 0, 0, true}, {"1.5", "0", 0, 0, true}, {"1", "1.5", 0, 0, true},
	} {
		got, fault := decodeProfile(t, Input{Query: map[string]string{"limit": row.limit, "skip": row.skip}})
		switch {
		case row.bad && fault != protocol.ErrBadQueryInt:
			t.Errorf("%+v: %v", row, fault)
		case !row.bad && (fault != nil || got.Limit != row.wantLimit || got.Skip != row.wantSkip):
			t.Errorf("%+v: %+v, %v", row, got, fault)
		}
	}
}
