package apidocs

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/swaggest/openapi-go/openapi31"

	"github.com/rookery-chat/rookery/protocol"
)

// Entry is a route that is no row of the table.
type Entry struct {
	Method  string
	Path    string
	Tag     string
	Summary string
	Public  bool
	Type    string       // of the body; empty: application/json
	Reply   reflect.Type // of 200; nil: text
	Also    []int        // further statuses, with the same body
}

// Config says what is described.
type Config struct {
	Version    string
	Operations []*protocol.Operation
	Entries    []Entry
	// Limits describes a rate class to people; nil: nothing is said.
	Limits func(protocol.RateClass) string
}

const (
	jsonType = "application/json"
	bearer   = "bearer"
	cookie   = "cookie"
)

// document is the description while it is made.
type document struct {
	cfg     Config
	schemas *schemas
	spec    openapi31.Spec
	tags    map[string]bool
}

// Document is the OpenAPI 3.1 document.
func Document(cfg Config) ([]byte, error) {
	d := &document{cfg: cfg, schemas: newSchemas(), tags: map[string]bool{}}
	d.spec.Openapi = "3.1.0"
	d.spec.Info = openapi31.Info{Title: "Rookery", Version: cfg.Version, Description: ptr(about)}
	d.spec.Paths = &openapi31.Paths{MapOfPathItemValues: map[string]openapi31.PathItem{}}
	for _, op := range cfg.Operations {
		if op.Method == "" {
			continue
		}
		if err := d.add(op.Method, op.Path, d.operation(op)); err != nil {
			return nil, err
		}
	}
	for _, e := range cfg.Entries {
		if err := d.add(e.Method, e.Path, d.entry(e)); err != nil {
			return nil, err
		}
	}
	d.components()
	for tag := range d.tags {
		d.spec.Tags = append(d.spec.Tags, openapi31.Tag{Name: tag})
	}
	slices.SortFunc(d.spec.Tags, func(a, b openapi31.Tag) int { return strings.Compare(a.Name, b.Name) })
	if d.schemas.err != nil {
		return nil, d.schemas.err
	}
	return json.Marshal(&d.spec)
}

const about = "Errors have the shape of the Error schema; a failed validation lists its texts in `message`. " +
	"Answers that were counted have the headers X-RateLimit-Limit-*, X-RateLimit-Remaining-* and X-RateLimit-Reset-* for short, medium and long. " +
	"GET answers have an ETag, HEAD is answered by the GET route."

func ptr[T any](v T) *T { return &v }

// add puts an operation into its place.
func (d *document) add(method, path string, o *openapi31.Operation) error {
	for _, tag := range o.Tags {
		d.tags[tag] = true
	}
	item := d.spec.Paths.MapOfPathItemValues[path]
	place := map[string]**openapi31.Operation{
		http.MethodGet: &item.Get, http.MethodPost: &item.Post, http.MethodPut: &item.Put,
		http.MethodPatch: &item.Patch, http.MethodDelete: &item.Delete,
	}[method]
	if place == nil || *place != nil {
		return fmt.Errorf("api docs: %s %s can't be described, or is there twice", method, path)
	}
	*place = o
	d.spec.Paths.MapOfPathItemValues[path] = item
	return nil
}

// operation describes a row.
func (d *document) operation(op *protocol.Operation) *openapi31.Operation {
	noun, verb, _ := strings.Cut(op.Name, ".")
	o := &openapi31.Operation{
		ID: ptr(op.Name), Tags: []string{noun}, Summary: ptr(words(verb)), Description: ptr(d.remarks(op)),
		Security: security(op.Public), Responses: responses(),
	}
	parameters, body := split(op.Request())
	for _, f := range parameters {
		o.Parameters = append(o.Parameters, d.parameter(f))
	}
	if body != nil {
		o.RequestBody = d.requestBody(body)
	}
	if op.Multipart != "" {
		d.multipart(o, op.Multipart)
	}
	d.succeed(o, op.SuccessStatus(), op.Body())
	if op.Serves != "" {
		serves(o, op.Serves)
	}
	for _, status := range errorsOf(op, len(parameters) > 0, body != nil) {
		fail(o, status)
	}
	return o
}

// multipart makes the body of an operation a form with a file in it, beside the
// fields that it has.
func (d *document) multipart(o *openapi31.Operation, part string) {
	fields := o.RequestBody.RequestBody.Content[jsonType].Schema
	o.RequestBody.RequestBody.Content = map[string]openapi31.MediaType{"multipart/form-data": {Schema: map[string]any{
		"allOf": []any{fields, map[string]any{
			"type": "object", "required": []string{part}, "properties": map[string]any{part: map[string]any{"type": "string", "format": "binary"}},
		}},
	}}}
	fail(o, http.StatusUnprocessableEntity)
}

// serves makes the answer of an operation a file, whole or in ranges.
func serves(o *openapi31.Operation, mediaType string) {
	for _, status := range []int{http.StatusOK, http.StatusPartialContent} {
		r := response(status)
		r.Content = map[string]openapi31.MediaType{mediaType: {Schema: map[string]any{"type": "string", "format": "binary"}}}
		put(o, status, r)
	}
	put(o, http.StatusNotModified, response(http.StatusNotModified))
	put(o, http.StatusRequestedRangeNotSatisfiable, response(http.StatusRequestedRangeNotSatisfiable))
}

// entry describes a route that is no row.
func (d *document) entry(e Entry) *openapi31.Operation {
	o := &openapi31.Operation{Tags: []string{e.Tag}, Summary: ptr(e.Summary), Security: security(e.Public), Responses: responses()}
	for _, status := range append([]int{http.StatusOK}, e.Also...) {
		r := response(status)
		if e.Reply != nil {
			r.Content = content(d.schemas.of(e.Reply, false))
		} else {
			r.Content = map[string]openapi31.MediaType{e.Type: {Schema: map[string]any{"type": "string"}}}
		}
		put(o, status, r)
	}
	if !e.Public {
		fail(o, http.StatusUnauthorized)
	}
	return o
}

// words makes a title of a verb such as revokeOthers.
func words(verb string) string {
	var b strings.Builder
	for i, r := range verb {
		switch {
		case i == 0:
			b.WriteString(strings.ToUpper(string(r)))
		case r >= 'A' && r <= 'Z':
			b.WriteString(" " + strings.ToLower(string(r)))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// remarks say what has no place of its own in OpenAPI.
func (d *document) remarks(op *protocol.Operation) string {
	var b strings.Builder
	if op.Permission != protocol.ActionNone {
		fmt.Fprintf(&b, "Needs the permission %s. ", op.Permission)
	}
	if d.cfg.Limits != nil {
		if text := d.cfg.Limits(op.Rate); text != "" {
			fmt.Fprintf(&b, "Limits: %s. ", text)
		}
	}
	fmt.Fprintf(&b, "Native websocket: `%s`.", op.Name)
	if op.Event != "" {
		fmt.Fprintf(&b, " Socket.IO: `%s`.", op.Event)
	}
	return b.String()
}

func security(public bool) []map[string][]string {
	if public {
		return []map[string][]string{{}}
	}
	return []map[string][]string{{bearer: {}}, {cookie: {}}}
}

// split tells the fields of a request that come by path or query from the type of its body; nil
// when nothing is left for one.
func split(request reflect.Type) (parameters []reflect.StructField, body reflect.Type) {
	var rest []reflect.StructField
	for i := range request.NumField() {
		f := request.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case f.Tag.Get("path") != "" || f.Tag.Get("query") != "":
			parameters = append(parameters, f)
		default:
			rest = append(rest, f)
		}
	}
	switch {
	case len(rest) == 0:
		return parameters, nil
	case len(parameters) == 0:
		return nil, request
	}
	return parameters, reflect.StructOf(rest)
}

// parameter describes a field that comes by path or query, by way of a struct that has only it.
func (d *document) parameter(f reflect.StructField) openapi31.ParameterOrReference {
	name, in := f.Tag.Get("path"), openapi31.ParameterInPath
	if name == "" {
		name, in = f.Tag.Get("query"), openapi31.ParameterInQuery
	}
	f.Tag = reflect.StructTag(fmt.Sprintf(`json:%q rule:%q`, name, f.Tag.Get("rule")))
	for f.Type.Kind() == reflect.Pointer {
		f.Type = f.Type.Elem()
	}
	schema := d.schemas.of(reflect.StructOf([]reflect.StructField{f}), true)
	properties, _ := schema["properties"].(map[string]any)
	own, _ := properties[name].(map[string]any)
	if own == nil {
		own = map[string]any{}
	}
	_, required := schema["required"]
	p := &openapi31.Parameter{Name: name, In: in, Schema: own, Required: ptr(true)}
	if in == openapi31.ParameterInQuery && (!required || f.Tag.Get("rule") == "") {
		p.Required = nil
	}
	return openapi31.ParameterOrReference{Parameter: p}
}

func (d *document) requestBody(t reflect.Type) *openapi31.RequestBodyOrReference {
	schema := d.schemas.of(t, true)
	body := &openapi31.RequestBody{Content: content(schema)}
	if d.demands(schema) {
		body.Required = ptr(true)
	}
	return &openapi31.RequestBodyOrReference{RequestBody: body}
}

// demands reports whether a schema has a field that must be there.
func (d *document) demands(schema map[string]any) bool {
	if ref, ok := schema["$ref"].(string); ok {
		schema = d.schemas.components[strings.TrimPrefix(ref, componentPrefix)]
	}
	_, required := schema["required"]
	return required
}

func content(schema map[string]any) map[string]openapi31.MediaType {
	return map[string]openapi31.MediaType{jsonType: {Schema: schema}}
}

func (d *document) succeed(o *openapi31.Operation, status int, reply reflect.Type) {
	r := response(status)
	if reply != reflect.TypeFor[protocol.None]() && status != http.StatusNoContent {
		r.Content = content(d.schemas.of(reply, false))
	}
	put(o, status, r)
}

// errorsOf are the failures that a row can answer with.
func errorsOf(op *protocol.Operation, parameters, body bool) []int {
	all := []int{http.StatusInternalServerError, http.StatusServiceUnavailable}
	if parameters || body {
		all = append(all, http.StatusBadRequest)
	}
	if parameters || op.Key != "" && !strings.HasPrefix(string(op.Key), "@") {
		all = append(all, http.StatusNotFound)
	}
	if !op.Public || op.Home == protocol.KindEdge && body { // a login or a token in the body
		all = append(all, http.StatusUnauthorized)
	}
	if op.Permission != protocol.ActionNone {
		all = append(all, http.StatusForbidden)
	}
	if op.Method != http.MethodGet {
		all = append(all, http.StatusConflict, http.StatusRequestEntityTooLarge)
	}
	if op.Rate != protocol.RateExempt {
		all = append(all, http.StatusTooManyRequests)
	}
	return all
}

func responses() *openapi31.Responses {
	return &openapi31.Responses{MapOfResponseOrReferenceValues: map[string]openapi31.ResponseOrReference{}}
}

func response(status int) *openapi31.Response {
	return &openapi31.Response{Description: http.StatusText(status)}
}

func put(o *openapi31.Operation, status int, r *openapi31.Response) {
	o.Responses.MapOfResponseOrReferenceValues[strconv.Itoa(status)] = openapi31.ResponseOrReference{Response: r}
}

// fail refers to the one description of a failure.
func fail(o *openapi31.Operation, status int) {
	o.Responses.MapOfResponseOrReferenceValues[strconv.Itoa(status)] = openapi31.ResponseOrReference{
		Reference: &openapi31.Reference{Ref: "#/components/responses/" + failures[status]}}
}

// failures names the descriptions of failures (contract 0.6).
var failures = map[int]string{
	400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict",
	413: "TooLarge", 422: "Unprocessable", 429: "TooManyRequests", 500: "InternalError", 503: "Unavailable",
}

// components are what operations refer to.
func (d *document) components() {
	c := &openapi31.Components{Schemas: d.schemas.components, Responses: map[string]openapi31.ResponseOrReference{}}
	c.Schemas["Error"] = map[string]any{
		"type": "object", "required": []string{"message", "statusCode"},
		"properties": map[string]any{
			"message": map[string]any{"anyOf": []any{map[string]any{"type": "string"},
				map[string]any{"type": "array", "items": map[string]any{"type": "string"}}},
				"description": "one text, or the texts of all rules that failed"},
			"error":      map[string]any{"type": "string", "description": "the name of the status; not in every error"},
			"statusCode": map[string]any{"type": "integer"},
		},
	}
	for status, name := range failures {
		r := response(status)
		r.Content = content(map[string]any{"$ref": componentPrefix + "Error"})
		if status == http.StatusTooManyRequests {
			r.Headers = map[string]openapi31.HeaderOrReference{"Retry-After": {Header: &openapi31.Header{
				Description: ptr("seconds"), Schema: map[string]any{"type": "integer"}}}}
		}
		c.Responses[name] = openapi31.ResponseOrReference{Response: r}
	}
	c.SecuritySchemes = map[string]openapi31.SecuritySchemeOrReference{
		bearer: {SecurityScheme: &openapi31.SecurityScheme{HTTPBearer: &openapi31.SecuritySchemeHTTPBearer{Scheme: "bearer", BearerFormat: ptr("JWT")}}},
		cookie: {SecurityScheme: &openapi31.SecurityScheme{APIKey: &openapi31.SecuritySchemeAPIKey{Name: "access_token", In: openapi31.SecuritySchemeAPIKeyInCookie}}},
	}
	d.spec.Components = c
}
