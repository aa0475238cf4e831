package cluster

import (
	"encoding"
	"fmt"
	"reflect"
	"time"

	"github.com/fxamacker/cbor/v2"
)

var (
	binaryMarshaler = reflect.TypeFor[encoding.BinaryMarshaler]()
	cborMarshaler   = reflect.TypeFor[cbor.Marshaler]()
	timeType        = reflect.TypeFor[time.Time]()
)

// portable reports what part of t would not arrive at another node. A struct
// that loses a field on the way works in one process and fails, silently and
// differently, in two; so this is checked once, at registration.
func portable(t reflect.Type, path string, seen map[reflect.Type]bool) error {
	if seen[t] {
		return nil
	}
	seen[t] = true
	if t == timeType || marshalsItself(t) {
		return nil
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Uintptr, reflect.Complex64, reflect.Complex128:
		return fmt.Errorf("%s: %v cannot cross nodes", path, t)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Errorf("%s: interface %v cannot be decoded", path, t)
		}
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return portable(t.Elem(), path, seen)
	case reflect.Map:
		if err := portable(t.Key(), path+"[key]", seen); err != nil {
			return err
		}
		return portable(t.Elem(), path+"[]", seen)
	case reflect.Struct:
		return portableFields(t, path, seen)
	default: // plain values arrive as they are
	}
	return nil
}

func portableFields(t reflect.Type, path string, seen map[reflect.Type]bool) error {
	for f := range t.Fields() {
		tag, tagged := f.Tag.Lookup("cbor")
		at := path + "." + f.Name
		switch {
		case tag == "-", f.Name == "_":
			continue
		case !f.IsExported() && !f.Anonymous:
			return fmt.Errorf("%s: unexported field would be lost", at)
		case !tagged && f.Tag.Get("json") == "-":
			return fmt.Errorf(`%s: json:"-" would be lost; add a cbor tag`, at)
		}
		if err := portable(f.Type, at, seen); err != nil {
			return err
		}
	}
	return nil
}

func marshalsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(binaryMarshaler) || p.Implements(cborMarshaler)
}
