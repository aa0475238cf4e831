package apidocs

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/swaggest/jsonschema-go"

	"github.com/rookery-chat/rookery/protocol"
)

// componentPrefix is where schemas of named types stand in the document.
const componentPrefix = "#/components/schemas/"

// schemas makes JSON schemas (2020-12, as OpenAPI 3.1 has them) of Go types. Named structs become
// components.
type schemas struct {
	reflector  jsonschema.Reflector
	components map[string]map[string]any
	err        error
}

func newSchemas() *schemas { return &schemas{components: map[string]map[string]any{}} }

// of is the schema of a type. In a request the rules of a field say what is required and what a
// value has to be; in an answer everything is there that is not left out when empty.
func (s *schemas) of(t reflect.Type, request bool) map[string]any {
	if own := inline(t); own != nil {
		return s.plain(*own)
	}
	schema, err := s.reflector.Reflect(reflect.New(t).Elem().Interface(),
		jsonschema.DefinitionsPrefix(componentPrefix), jsonschema.RootRef,
		jsonschema.InterceptDefName(func(t reflect.Type, _ string) string { return componentName(t) }),
		jsonschema.CollectDefinitions(s.collect),
		jsonschema.InterceptProp(func(p jsonschema.InterceptPropParams) error { return property(p, request) }),
	)
	if err != nil && s.err == nil {
		s.err = fmt.Errorf("schema of %v: %w", t, err)
	}
	return s.plain(schema)
}

// collect keeps a component. Types that are described where they are used are none.
func (s *schemas) collect(name string, schema jsonschema.Schema) {
	if t := schema.ReflectType; t != nil && (inline(t) != nil || protocol.IsPatch(reflect.Zero(deref(t)).Interface())) {
		return
	}
	s.components[name] = s.plain(schema)
}

func (s *schemas) plain(schema jsonschema.Schema) map[string]any {
	m, err := schema.ToSchemaOrBool().ToSimpleMap()
	if err != nil && s.err == nil {
		s.err = err
	}
	return m
}

// componentName is the name of a type without its package.
func componentName(t reflect.Type) string {
	return notInNames.ReplaceAllString(deref(t).Name(), "_")
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

func deref(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// inline is the schema of types that marshal themselves; nil for all others.
func inline(t reflect.Type) *jsonschema.Schema {
	t = deref(t)
	s := &jsonschema.Schema{}
	switch {
	case t == reflect.TypeFor[protocol.Instant]():
		s.WithType(jsonschema.String.Type()).WithFormat("date-time")
	case t.Kind() == reflect.Array && t.Len() == 16 && t.Elem().Kind() == reflect.Uint8:
		s.WithType(jsonschema.String.Type()).WithFormat("uuid")
	case t == reflect.TypeFor[protocol.Action]():
		s.WithType(jsonschema.String.Type()).WithEnum(actionNames...)
	case t == reflect.TypeFor[protocol.ActionSet]():
		s.WithType(jsonschema.Array.Type())
		s.WithItems(*(&jsonschema.Items{}).WithSchemaOrBool(inline(reflect.TypeFor[protocol.Action]()).ToSchemaOrBool()))
	case t.Kind() == reflect.Slice && inline(t.Elem()) != nil:
		s.WithType(jsonschema.Array.Type())
		s.WithItems(*(&jsonschema.Items{}).WithSchemaOrBool(inline(t.Elem()).ToSchemaOrBool()))
	default:
		return nil
	}
	return s
}

var actionNames = func() (names []any) {
	for _, a := range protocol.AllActions() {
		names = append(names, a.String())
	}
	return names
}()

// property puts what is known of a field into its schema.
func property(p jsonschema.InterceptPropParams, request bool) error {
	if !p.Processed || p.ParentSchema == nil {
		return nil
	}
	t, null := p.Field.Type, p.Field.Type.Kind() == reflect.Pointer
	if protocol.IsPatch(reflect.Zero(t).Interface()) {
		v, _ := t.FieldByName("Value")
		t, null = v.Type, true
		*p.PropertySchema = ofBasic(t)
	}
	if s := inline(t); s != nil {
		*p.PropertySchema = *s
	}
	if deref(t).Kind() == reflect.Slice {
		p.PropertySchema.WithType(jsonschema.Array.Type()) // never null
	}
	if !request {
		omitted := strings.Contains(p.Field.Tag.Get("json"), ",omit")
		if !omitted {
			p.ParentSchema.Required = append(p.ParentSchema.Required, p.Name)
		}
		if null && !omitted || t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Pointer {
			nullable(p.PropertySchema)
		}
		return nil
	}
	rules, ruled := p.Field.Tag.Lookup("rule")
	required := ruled && rules != ""
	for _, item := range protocol.SplitRules(rules) {
		spec, _, _ := strings.Cut(item, "|")
		name, arg, _ := strings.Cut(spec, "=")
		if strings.HasPrefix(name, "optional") {
			required, null = false, true
		}
		if strings.HasPrefix(name, "query") {
			required = false
		}
		constrain(p.PropertySchema, name, arg)
	}
	if required {
		p.ParentSchema.Required = append(p.ParentSchema.Required, p.Name)
	}
	if null {
		nullable(p.PropertySchema)
	}
	return nil
}

// ofBasic is the schema of a basic type.
func ofBasic(t reflect.Type) (s jsonschema.Schema) {
	switch deref(t).Kind() {
	case reflect.String:
		s.WithType(jsonschema.String.Type())
	case reflect.Bool:
		s.WithType(jsonschema.Boolean.Type())
	case reflect.Int, reflect.Int64:
		s.WithType(jsonschema.Integer.Type())
	case reflect.Float64:
		s.WithType(jsonschema.Number.Type())
	default: // anything
	}
	return s
}

// nullable lets a value be null as well.
func nullable(s *jsonschema.Schema) {
	switch {
	case s.Ref != nil:
		var null, ref jsonschema.Schema
		null.WithType(jsonschema.Null.Type())
		ref.Ref, s.Ref = s.Ref, nil
		s.AnyOf = []jsonschema.SchemaOrBool{ref.ToSchemaOrBool(), null.ToSchemaOrBool()}
	case s.Type != nil && s.Type.SimpleTypes != nil:
		s.Type = (&jsonschema.Type{}).WithSliceOfSimpleTypeValues(*s.Type.SimpleTypes, jsonschema.Null)
		if s.Enum != nil {
			s.Enum = append(slices.Clone(s.Enum), nil)
		}
	}
}

// constrain turns a rule into the keyword of JSON Schema that says the same. What has none, such
// as the text of an error, is left to the error.
func constrain(s *jsonschema.Schema, name, arg string) {
	n, _ := strconv.ParseInt(arg, 10, 64)
	f := float64(n)
	isText := s.HasType(jsonschema.String)
	switch name {
	case "string", "nonempty":
		if name == "nonempty" && isText && s.MinLength == 0 && s.Format == nil {
			s.MinLength = 1
		}
	case "min":
		if isText {
			s.MinLength = n
		} else {
			s.Minimum = &f
		}
	case "max":
		if isText {
			s.MaxLength = &n
		} else {
			s.Maximum = &f
		}
	case "arrayMin":
		s.MinItems = n
	case "arrayMax":
		s.MaxItems = &n
	case "enum":
		s.Enum = nil
		for v := range strings.SplitSeq(arg, ";") {
			s.Enum = append(s.Enum, v)
		}
	case "uuid", "pathUUID":
		s.WithFormat("uuid")
	case "eachUUID":
		if s.Items != nil && s.Items.SchemaOrBool != nil && s.Items.SchemaOrBool.TypeObject != nil {
			s.Items.SchemaOrBool.TypeObject.WithFormat("uuid")
		}
	case "email":
		s.WithFormat("email")
	case "pattern":
		s.WithPattern(arg)
	case "queryInt", "queryLimit":
		s.WithDefault(n)
	case "int", "whole":
		s.WithType(jsonschema.Integer.Type())
	}
}
