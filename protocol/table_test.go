package protocol

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	names, routes, events := map[string]bool{}, map[string]bool{}, map[string]bool{}
	commands := map[Kind]map[reflect.Type]string{}
	for _, o := range Operations() {
		if !strings.Contains(o.Name, ".") || names[o.Name] {
			t.Errorf("name %q is not noun.verb or not unique", o.Name)
		}
		names[o.Name] = true
		if route := o.Method + " " + o.Path; o.Method != "" && routes[route] {
			t.Errorf("%s: route %s twice", o.Name, route)
		} else {
			routes[route] = true
		}
		if o.Event != "" && events[o.Event] {
			t.Errorf("%s: event %s twice", o.Name, o.Event)
		}
		events[o.Event] = true
		if o.Method == "" && o.Event == "" {
			t.Errorf("%s can't be called", o.Name)
		}
		if (o.Permission == ActionNone) != (o.Resource == ResourceNone) {
			t.Errorf("%s: a permission and its resource belong together", o.Name)
		}
		if o.Public && o.Permission != ActionNone {
			t.Errorf("%s is public and asks for a permission", o.Name)
		}
		if o.Home != KindEdge && o.Key == "" {
			t.Errorf("%s names no actor", o.Name)
		}
		if o.Home == KindEdge {
			continue
		}
		if commands[o.Home] == nil {
			commands[o.Home] = map[reflect.Type]string{}
		}
		if other := commands[o.Home][o.Command()]; other != "" {
			t.Errorf("%s and %s have the same request type: the %s could not tell them apart", o.Name, other, o.Home)
		}
		commands[o.Home][o.Command()] = o.Name
	}
}

func TestKeyFieldsExist(t *testing.T) {
	for _, o := range Operations() {
		if o.Key == "" || strings.HasPrefix(string(o.Key), "@") {
			continue
		}
		found := false
		for i := range o.Request().NumField() {
			f := o.Request().Field(i)
			found = found || strings.Split(f.Tag.Get("json"), ",")[0] == string(o.Key)
		}
		if !found {
			t.Errorf("%s: request has no field %q", o.Name, o.Key)
		}
	}
}

func TestEveryCodeIsRendered(t *testing.T) {
	for _, c := range Codes() {
		e := &Error{Code: c, Message: "text"}
		var body struct {
			Message    string
			StatusCode int
		}
		if err := json.Unmarshal(e.HTTPBody(), &body); err != nil || body.StatusCode != c.Status() || body.Message == "" {
			t.Errorf("%s: HTTP body %s", c, e.HTTPBody())
		}
		var native struct{ Code Code }
		if err := json.Unmarshal(e.NativeBody(), &native); err != nil || native.Code != c {
			t.Errorf("%s: native body %s", c, e.NativeBody())
		}
		var ex struct {
			Status, Message string
			Cause           struct{ Pattern string }
		}
		if err := json.Unmarshal(e.Exception("event", nil), &ex); err != nil || ex.Status != "error" || ex.Cause.Pattern != "event" {
			t.Errorf("%s: exception %s", c, e.Exception("event", nil))
		}
	}
}

func TestErrorBodies(t *testing.T) {
	for _, c := range []struct {
		err  *Error
		want string
	}{
		{ErrUnauthorized, `{"message":"Unauthorized","statusCode":401}`},
		{Unauthorized("Token has been revoked"), `{"message":"Token has been revoked","error":"Unauthorized","statusCode":401}`},
		{ErrForbidden, `{"message":"Forbidden resource","error":"Forbidden","statusCode":403}`},
		{ErrBadPathUUID, `{"message":"Validation failed (uuid is expected)","error":"Bad Request","statusCode":400}`},
		{NotFound("Community not found"), `{"message":"Community not found","error":"Not Found","statusCode":404}`},
		{Conflict("x"), `{"message":"x","error":"Conflict","statusCode":409}`},
		{ErrTooLarge, `{"message":"request entity too large","statusCode":413}`},
		{ErrRateLimited, `{"message":"ThrottlerException: Too Many Requests","statusCode":429}`},
		{ErrInternal, `{"message":"Internal server error","statusCode":500}`},
		{Invalid([]FieldError{{"a", "isUuid", "a must be a UUID"}, {"b", "isArray", "b must be an array"}}),
			`{"message":["a must be a UUID","b must be an array"],"error":"Bad Request","statusCode":400}`},
	} {
		if got := string(c.err.HTTPBody()); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	two := Invalid([]FieldError{{"a", "min", "1"}, {"a", "isInt", "2"}})
	if got, want := string(two.Exception("x", nil)), `[{"property":"a","children":[],"constraints":{"isInt":"2","min":"1"}}]`; got != want {
		t.Errorf("got %s", got)
	}
	if got := string(ErrForbidden.Exception("sendMessage", json.RawMessage(`"`+strings.Repeat("x", maxEchoed)+`"`))); strings.Contains(got, "data") {
		t.Error("a large payload is echoed")
	}
}
