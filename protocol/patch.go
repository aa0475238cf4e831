package protocol

// Patch is a field of a request that may be left out, be null or have a value:
// of a change, only what is given is changed, and null clears.
type Patch[T any] struct {
	Given bool `json:"g"`
	Value *T   `json:"v"` // nil and Given: null
}

// To is a patch that sets a value.
func To[T any](v T) Patch[T] { return Patch[T]{Given: true, Value: &v} }

// Cleared is a patch that clears.
func Cleared[T any]() Patch[T] { return Patch[T]{Given: true} }

// Or is the value that the field has after the patch.
func (p Patch[T]) Or(old *T) *T {
	if p.Given {
		return p.Value
	}
	return old
}

// patch tells Patch from other structs by reflection.
func (Patch[T]) patch() {}

// IsPatch reports whether v, or what a nil pointer of its type points to, is a
// Patch.
func IsPatch(v any) bool {
	_, ok := v.(interface{ patch() })
	return ok
}
