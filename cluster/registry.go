package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"github.com/rookery-chat/rookery/protocol"
	"github.com/rookery-chat/rookery/protocol/wirepb"
)

// ErrUnregistered is the reason when a value was to cross nodes whose type was
// never registered. It is a defect of the program, found by the first test that
// uses two nodes.
var ErrUnregistered = errors.New("type is not registered for crossing nodes")

// Registry knows which Go types may cross nodes and under what name. Names are
// part of what nodes of different versions say to each other: a type may be
// renamed in Go, its registered name stays. The zero value is not usable, call
// NewRegistry.
type Registry struct {
	mu     sync.RWMutex
	byName map[string]reflect.Type
	byType map[reflect.Type]string
}

// NewRegistry returns a registry that knows Go's plain types (string, bool, the
// integers, float64, []byte, []string) and *protocol.Error.
func NewRegistry() *Registry {
	r := &Registry{byName: map[string]reflect.Type{}, byType: map[reflect.Type]string{}}
	Register[string](r, "string")
	Register[bool](r, "bool")
	Register[int](r, "int")
	Register[int64](r, "int64")
	Register[uint64](r, "uint64")
	Register[float64](r, "float64")
	Register[[]byte](r, "bytes")
	Register[[]string](r, "strings")
	Register[json.RawMessage](r, "json")
	Register[struct{}](r, "ok")
	Register[protocol.Error](r, "error")
	return r
}

// Register makes T known under a name. Values of T and *T may then be sent; the
// receiver gets the same of the two that was sent. Registering *T is the same as
// registering T.
//
// It panics when the name or the type is taken, and when T has a part that would
// silently get lost on the way: an unexported field, a field with json:"-" and
// no cbor tag, a channel, function or non-empty interface. Mark a field that is
// meant to stay at home with cbor:"-".
func Register[T any](r *Registry, name string) { r.Add(name, reflect.TypeFor[T]()) }

// Add is Register for a type that is known only at run time.
func (r *Registry) Add(name string, t reflect.Type) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if name == "" || strings.ContainsAny(name[:1], "*!") {
		panic(fmt.Sprintf("cluster: bad name %q for %v", name, t))
	}
	if err := portable(t, t.String(), map[reflect.Type]bool{}); err != nil {
		panic("cluster: " + err.Error())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, ok := r.byName[name]; ok && old != t {
		panic(fmt.Sprintf("cluster: name %q is taken by %v", name, old))
	}
	if old, ok := r.byType[t]; ok && old != name {
		panic(fmt.Sprintf("cluster: %v is already registered as %q", t, old))
	}
	r.byName[name], r.byType[t] = t, name
}

// Type is one registered type.
type Type struct {
	Name string
	Go   reflect.Type
}

// Types lists what is registered, sorted by name, so that a test can send a
// value of each type through Encode and Decode.
func (r *Registry) Types() []Type {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := make([]Type, 0, len(r.byName))
	for name, t := range r.byName {
		list = append(list, Type{name, t})
	}
	slices.SortFunc(list, func(a, b Type) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Encode packs a value as it crosses nodes.
func (r *Registry) Encode(v any) (*wirepb.Envelope, error) {
	if v == nil {
		return &wirepb.Envelope{}, nil
	}
	t, star := reflect.TypeOf(v), ""
	if t.Kind() == reflect.Pointer {
		t, star = t.Elem(), "*"
	}
	r.mu.RLock()
	name, ok := r.byType[t]
	r.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("%T: %w", v, ErrUnregistered)
	}
	body, err := encoder.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return &wirepb.Envelope{Type: star + name, Body: body}, nil
}

// Decode unpacks what Encode packed.
func (r *Registry) Decode(e *wirepb.Envelope) (any, error) {
	if e.GetType() == "" {
		return nil, nil
	}
	name, pointer := strings.CutPrefix(e.Type, "*")
	r.mu.RLock()
	t, ok := r.byName[name]
	r.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("%q: %w", e.Type, ErrUnregistered)
	}
	v := reflect.New(t)
	if err := decoder.Unmarshal(e.Body, v.Interface()); err != nil {
		return nil, fmt.Errorf("decode %q: %w", e.Type, err)
	}
	if pointer {
		return v.Interface(), nil
	}
	return v.Elem().Interface(), nil
}

// Times travel as RFC 3339 text with nanoseconds and offset: compact forms of
// CBOR are floats, which lose the nanoseconds. Text that is not UTF-8 must not
// make a message undeliverable, so it is let through.
var (
	encoder = must(cbor.EncOptions{
		Time:          cbor.TimeRFC3339Nano,
		NilContainers: cbor.NilContainerAsNull,
	}.EncMode())
	decoder = must(cbor.DecOptions{
		DefaultMapType:   reflect.TypeFor[map[string]any](),
		UTF8:             cbor.UTF8DecodeInvalid,
		MaxArrayElements: 16 << 20,
		MaxMapPairs:      16 << 20,
		MaxNestedLevels:  64,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
