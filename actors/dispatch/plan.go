package dispatch

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// Deadlines of operations. What is written behind may have to wait for Postgres
// to come back; its id makes a retry harmless, so patience costs nothing.
const (
	writeDeadline = 60 * time.Second
	deadline      = 10 * time.Second
)

// maxLimit bounds integer queries; what is out of range is moved into it.
const maxLimit = 200

var errNUL = protocol.BadRequest("NUL characters are not allowed")

// plan is the compiled form of one row.
type plan struct {
	op       *protocol.Operation
	deadline time.Duration
	command  reflect.Type
	caller   int // index of each field in the command
	req      int
	invalid  int
	fields   []field
	byName   map[string]int // index in fields
	key      int            // index in fields; -1 when the actor is not named by a field
	group    int            // likewise, of the other key of protocol.LocatePlace
	newID    int            // index in the request of the id that the edge chooses; -1
}

// field is one field of a request.
type field struct {
	name  string
	path  string
	query string
	index int
	rules *ruleSet
	patch bool // null is told from absence
	set   func(dst reflect.Value, v value) error
}

func newPlan(op *protocol.Operation) *plan {
	p := &plan{op: op, deadline: deadline, command: op.Command(), byName: map[string]int{}, key: -1, group: -1, newID: -1}
	if (op.Home == protocol.KindChannel || op.Home == protocol.KindDM) && op.Method != "GET" {
		p.deadline = writeDeadline
	}
	p.caller, p.req, p.invalid = fieldIndex(p.command, "Caller"), fieldIndex(p.command, "Req"), fieldIndex(p.command, "Invalid")
	p.compile(op.Request())
	if op.Home != protocol.KindEdge && p.key < 0 && !strings.HasPrefix(string(op.Key), "@") {
		panic(fmt.Sprintf("dispatch: %s has no field %q", op.Name, op.Key))
	}
	if len(p.fields) > maxRequestFields {
		panic(fmt.Sprintf("dispatch: %s has too many fields", op.Name))
	}
	return p
}

// compile reads the fields of a request and their tags.
func (p *plan) compile(request reflect.Type) {
	for i := range request.NumField() {
		f := request.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			if f.Tag.Get("cbor") == "id" {
				p.newID = i
			}
			continue
		}
		if protocol.Key(name) == p.op.Key {
			p.key = len(p.fields)
		}
		if p.op.Locate == protocol.LocatePlace && name == "directMessageGroupId" {
			p.group = len(p.fields)
		}
		p.byName[name] = len(p.fields)
		p.fields = append(p.fields, field{
			name: name, path: f.Tag.Get("path"), query: f.Tag.Get("query"), index: i,
			rules: compileRules(name, f.Tag.Get("rule"), f.Type), patch: isPatch(f.Type), set: setterOf(f.Type),
		})
	}
}

func fieldIndex(t reflect.Type, name string) int {
	f, ok := t.FieldByName(name)
	if !ok {
		panic(fmt.Sprintf("dispatch: %v has no field %s", t, name))
	}
	return f.Index[0]
}

// decoded is a command on its way.
type decoded struct {
	command reflect.Value // pointer to a protocol.Command
	key     value         // of the key field, as it came
	group   value         // of the field that is the key without it, see protocol.LocatePlace
	fault   *protocol.Error
	newID   protocol.AnyID
}

// decode builds the command. It never fails: what is wrong is in fault, and the
// request holds what could be read.
func (p *plan) decode(caller protocol.Caller, in protocol.Input) decoded {
	d := decoded{command: reflect.New(p.command)}
	cmd := d.command.Elem()
	*cmd.Field(p.caller).Addr().Interface().(*protocol.Caller) = caller
	req := cmd.Field(p.req)
	var body [maxRequestFields]json.RawMessage
	p.members(in.Body, &body)
	var pathFault, queryFault *protocol.Error
	var failed []protocol.FieldError
	for i := range p.fields {
		f := &p.fields[i]
		v := f.find(in, body[i])
		switch i {
		case p.key:
			d.key = v
		case p.group:
			d.group = v
		}
		switch {
		case strings.IndexByte(v.str, 0) >= 0:
			pathFault = errNUL
			continue
		case f.rules.pathUUID:
			if _, err := protocol.ParseID[struct{}](v.str); err != nil {
				pathFault = protocol.ErrBadPathUUID
				continue
			}
		case f.rules.queryUUID && (v.nullish() || v.kind == text && v.str == ""):
			if i == p.key {
				d.key = value{}
			}
			continue
		case f.rules.queryUUID:
			if _, err := protocol.ParseID[struct{}](v.str); err != nil {
				queryFault = protocol.ErrBadUUIDInQuery
				continue
			}
		case f.rules.query != nil:
			n, ok := f.rules.query.read(v)
			if !ok {
				queryFault = protocol.ErrBadQueryInt
			}
			v = value{kind: number, num: n}
		case f.rules.numeric:
			v = numeric(v)
		}
		if wrong := f.rules.failures(f.name, v); wrong != nil {
			failed = append(failed, wrong...)
			continue
		}
		if v.nullish() && (v.kind == absent || !f.patch) {
			continue
		}
		if err := f.set(req.Field(f.index), v); err != nil {
			failed = append(failed, protocol.FieldError{Field: f.name, Rule: "isValid", Message: f.name + " is not valid"})
		}
	}
	if pathFault == nil && queryFault == nil && hasNUL(in.Body) {
		queryFault = errNUL
	}
	d.fault = firstFault(pathFault, queryFault, protocol.Invalid(failed))
	*cmd.Field(p.invalid).Addr().Interface().(**protocol.Error) = d.fault
	if p.newID >= 0 {
		d.newID = protocol.AnyID(protocol.NewID[struct{}]())
		req.Field(p.newID).Set(reflect.ValueOf([16]byte(d.newID)).Convert(req.Field(p.newID).Type()))
	}
	return d
}

func firstFault(faults ...*protocol.Error) *protocol.Error {
	for _, f := range faults {
		if f != nil {
			return f
		}
	}
	return nil
}

// maxRequestFields bounds the fields of a request.
const maxRequestFields = 16

// members finds the fields of the request in a body; of repeated ones the last
// counts. A list is a body without fields, as it is in the reference.
func (p *plan) members(body json.RawMessage, into *[maxRequestFields]json.RawMessage) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] != '{' {
		return
	}
	for c := enter(body); ; {
		key, v, ok := c.member()
		if !ok {
			return
		}
		if i, known := p.byName[string(key)]; known {
			into[i] = v
		}
	}
}

// find looks a field up. The path wins over the query and the query over the
// body, so nothing that was authorised by the path can be replaced by the body.
func (f *field) find(in protocol.Input, body json.RawMessage) value {
	if f.path != "" {
		if s, ok := in.Path[f.path]; ok {
			return textValue(s)
		}
	}
	if f.query != "" {
		if s, ok := in.Query[f.query]; ok {
			return textValue(s)
		}
	}
	return valueOf(body)
}

// intQuery is a query that is an integer, with the contract's table (0.7): a
// fraction is refused, what is no number is the default or, where the query is
// strict, refused as well. What is out of range is moved into it.
type intQuery struct {
	def      float64
	strict   bool
	min, max float64
}

func (q *intQuery) read(v value) (float64, bool) {
	n := q.def
	switch v.kind {
	case number:
		n = v.num
	case text:
		s := strings.TrimSpace(v.str)
		f, err := strconv.ParseFloat(s, 64)
		switch {
		case s == "":
			n = 0
		case err != nil || math.IsNaN(f) || strings.ContainsAny(s, "_pPxX"):
			return q.def, !q.strict
		default:
			n = f
		}
	default: // absent
	}
	if n != math.Trunc(n) {
		return q.def, false
	}
	return min(max(n, q.min), q.max), true
}

// numeric reads numbers that come as text, as forms send them; other text stays.
func numeric(v value) value {
	if v.kind != text {
		return v
	}
	s := strings.TrimSpace(v.str)
	if s == "" {
		return value{kind: number, raw: v.raw}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || strings.ContainsAny(s, "_pPxX") {
		return v
	}
	return value{kind: number, raw: v.raw, num: f}
}

func isPatch(t reflect.Type) bool { return protocol.IsPatch(reflect.Zero(t).Interface()) }

// patchValue is the type of a Patch's Value, a pointer.
func patchValue(t reflect.Type) reflect.Type {
	f, ok := t.FieldByName("Value")
	if !ok {
		panic("dispatch: " + t.String() + " is no patch")
	}
	return f.Type
}

// setPatch notes that the field was given, and its value unless that is null.
func setPatch(t reflect.Type) func(reflect.Value, value) error {
	inner := setterOf(patchValue(t))
	given, val := fieldIndex(t, "Given"), fieldIndex(t, "Value")
	return func(dst reflect.Value, v value) error {
		dst.Field(given).SetBool(true)
		if v.nullish() {
			return nil
		}
		return inner(dst.Field(val), v)
	}
}

// setterOf chooses how a checked value gets into a field of the type.
func setterOf(t reflect.Type) func(reflect.Value, value) error {
	if t.Kind() == reflect.Pointer {
		inner := setterOf(t.Elem())
		return func(dst reflect.Value, v value) error {
			dst.Set(reflect.New(t.Elem()))
			return inner(dst.Elem(), v)
		}
	}
	switch {
	case isPatch(t):
		return setPatch(t)
	case t == reflect.TypeFor[protocol.Instant]():
		return setInstant
	case t == reflect.TypeFor[[]protocol.SpanInput]():
		return setSpans
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return setText
	}
	switch t.Kind() {
	case reflect.String:
		return setString
	case reflect.Int, reflect.Int64:
		return setInt
	case reflect.Float64:
		return setFloat
	default:
		return setJSON
	}
}

func setInstant(dst reflect.Value, v value) error {
	at, ok := jsDate(v)
	if !ok {
		return errMismatch
	}
	dst.SetInt(int64(at))
	return nil
}

func setSpans(dst reflect.Value, v value) error {
	if v.kind != array {
		return errMismatch
	}
	*dst.Addr().Interface().(*[]protocol.SpanInput) = decodeSpans(v.list)
	return nil
}

func setText(dst reflect.Value, v value) error {
	if v.kind != text {
		return errMismatch
	}
	return dst.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(v.str))
}

func setString(dst reflect.Value, v value) error {
	if v.kind != text {
		return errMismatch
	}
	dst.SetString(v.str)
	return nil
}

func setInt(dst reflect.Value, v value) error {
	if !v.integer() || math.Abs(v.num) > 1<<53 {
		return errMismatch
	}
	dst.SetInt(int64(v.num))
	return nil
}

func setFloat(dst reflect.Value, v value) error {
	if v.kind != number {
		return errMismatch
	}
	dst.SetFloat(v.num)
	return nil
}

func setJSON(dst reflect.Value, v value) error {
	if v.raw == nil {
		return errMismatch
	}
	return json.Unmarshal(v.raw, dst.Addr().Interface())
}
