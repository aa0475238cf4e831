package protocol

import (
	"encoding/json"
	"strconv"
	"time"
)

// Code is the stable word for a kind of failure. It is what native clients
// read; REST clients see the status and the texts that go with it.
type Code string

// The codes. Status gives the HTTP status of each.
const (
	CodeUnauthorized   Code = "unauthorized"    // no, invalid or expired token; wrong login
	CodeForbidden      Code = "forbidden"       // permission refused, resource not shown to the caller
	CodeInvalid        Code = "invalid"         // validation of one or more fields failed
	CodeBadRequest     Code = "bad_request"     // not understood at all
	CodeNotFound       Code = "not_found"       //
	CodeConflict       Code = "conflict"        // unique key, wrong state
	CodeTooLarge       Code = "too_large"       // body or frame over the limit
	CodeRateLimited    Code = "rate_limited"    //
	CodeSlowMode       Code = "slow_mode"       // RetryAfter tells when
	CodeTimedOut       Code = "timed_out"       // moderation timeout, RetryAfter tells when
	CodeUnavailable    Code = "unavailable"     // owner moving, database away, queue full: try again
	CodeDeadline       Code = "deadline"        // no answer in time; the same nonce may be sent again
	CodeInternal       Code = "internal"        // a defect of the server
	CodeUnknownRoute   Code = "unknown_route"   // no such path or operation
	CodeMalformed      Code = "malformed"       // body is not JSON
	CodeMethodNotFound Code = "unknown_op"      // native websocket: no such op
	CodeSessionExpired Code = "session_expired" // native websocket: token refused at hello
	CodeFileTooLarge   Code = "file_too_large"  // over a limit of files, or over the quota
	CodeUnprocessable  Code = "unprocessable"   // a file that is not what it must be
	CodeUnsupported    Code = "unsupported"     // of this server
)

var statuses = map[Code]int{
	CodeUnauthorized: 401, CodeForbidden: 403, CodeInvalid: 400, CodeBadRequest: 400,
	CodeNotFound: 404, CodeConflict: 409, CodeTooLarge: 413, CodeRateLimited: 429,
	CodeSlowMode: 403, CodeTimedOut: 403, CodeUnavailable: 503, CodeDeadline: 503,
	CodeInternal: 500, CodeUnknownRoute: 404, CodeMalformed: 400, CodeMethodNotFound: 404,
	CodeSessionExpired: 401, CodeFileTooLarge: 413, CodeUnprocessable: 422, CodeUnsupported: 501,
}

// Codes lists every code; a test renders each of them in every framing.
func Codes() []Code {
	all := make([]Code, 0, len(statuses))
	for c := range statuses {
		all = append(all, c)
	}
	return all
}

// Status is the HTTP status of the code.
func (c Code) Status() int {
	if s, ok := statuses[c]; ok {
		return s
	}
	return 500
}

// Error is what domain code returns when the caller is to be told something.
// It crosses nodes unchanged. Every other error is internal: logged once at the
// edge and shown as CodeInternal.
type Error struct {
	Code       Code          `json:"code"`
	Message    string        `json:"message"`
	Plain      bool          `json:"plain,omitempty"`  // 401 without an explanation: the body has no "error" key
	Fields     []FieldError  `json:"fields,omitempty"` // for CodeInvalid, in the order of the contract
	RetryAfter time.Duration `json:"retryAfter,omitempty"`
}

// FieldError is one failed rule of one field.
type FieldError struct {
	Field   string `json:"field"`
	Rule    string `json:"rule"` // name of the constraint as Socket.IO clients see it: isUuid, isArray, arrayMinLength ...
	Message string `json:"message"`
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Is makes errors.Is(err, protocol.ErrUnavailable) true for every error of the
// same code, so that callers can test for a kind without its text.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Status is the HTTP status of the failure.
func (e *Error) Status() int { return e.Code.Status() }

// Retryable reports whether the same request may succeed later unchanged.
func (e *Error) Retryable() bool {
	return e.Code == CodeUnavailable || e.Code == CodeDeadline || e.Code == CodeRateLimited
}

// Failures that need no further detail. Treat them as constants.
var (
	ErrUnauthorized = &Error{Code: CodeUnauthorized, Message: "Unauthorized", Plain: true}
	ErrForbidden    = &Error{Code: CodeForbidden, Message: "Forbidden resource"}
	ErrUnavailable  = &Error{Code: CodeUnavailable, Message: "Service temporarily unavailable, please retry"}
	ErrDeadline     = &Error{Code: CodeDeadline, Message: "No answer in time, please retry"}
	ErrInternal     = &Error{Code: CodeInternal, Message: "Internal server error"}
	ErrTooLarge     = &Error{Code: CodeTooLarge, Message: "request entity too large"}
	ErrRateLimited  = &Error{Code: CodeRateLimited, Message: "ThrottlerException: Too Many Requests"}
	ErrBadPathUUID  = &Error{Code: CodeBadRequest, Message: "Validation failed (uuid is expected)"}
	ErrBadQueryInt  = &Error{Code: CodeBadRequest, Message: "Validation failed (numeric string is expected)"}
)

// Unauthorized is an explained 401.
func Unauthorized(text string) *Error { return &Error{Code: CodeUnauthorized, Message: text} }

// Forbidden is an explained 403.
func Forbidden(text string) *Error { return &Error{Code: CodeForbidden, Message: text} }

// NotFound is a 404 with the contract's text.
func NotFound(text string) *Error { return &Error{Code: CodeNotFound, Message: text} }

// Conflict is a 409 with the contract's text.
func Conflict(text string) *Error { return &Error{Code: CodeConflict, Message: text} }

// BadRequest is a 400 with a single text.
func BadRequest(text string) *Error { return &Error{Code: CodeBadRequest, Message: text} }

// Unavailable is a retryable 503 with a reason of its own.
func Unavailable(text string) *Error { return &Error{Code: CodeUnavailable, Message: text} }

// Invalid collects failed rules; nil when there are none.
func Invalid(fields []FieldError) *Error {
	if len(fields) == 0 {
		return nil
	}
	return &Error{Code: CodeInvalid, Message: fields[0].Message, Fields: fields}
}

var statusNames = map[int]string{
	400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
	413: "Payload Too Large", 422: "Unprocessable Entity", 501: "Not Implemented", 503: "Service Unavailable",
}

// HTTPBody renders the error as a REST body, in the exact shapes of the contract.
func (e *Error) HTTPBody() []byte {
	type withError struct {
		Message    any    `json:"message"`
		Error      string `json:"error,omitempty"`
		StatusCode int    `json:"statusCode"`
	}
	status := e.Status()
	b := withError{Message: e.Message, StatusCode: status}
	switch {
	case e.Plain, e.Code == CodeTooLarge, status == 429, status == 500:
	default:
		b.Error = statusNames[status]
	}
	if len(e.Fields) > 0 {
		texts := make([]string, len(e.Fields))
		for i, f := range e.Fields {
			texts[i] = f.Message
		}
		b.Message = texts
	}
	out, err := json.Marshal(b)
	if err != nil { // strings and ints only: cannot happen
		return []byte(`{"statusCode":` + strconv.Itoa(status) + `}`)
	}
	return out
}

// maxEchoed bounds how much of a refused payload is sent back.
const maxEchoed = 4 << 10

// Exception renders the error as the payload of Socket.IO's "exception" event.
// data is the payload as received; nil when the event had none.
func (e *Error) Exception(pattern string, data json.RawMessage) []byte {
	if e.Code == CodeInvalid && len(e.Fields) > 0 {
		return e.fieldsException()
	}
	type cause struct {
		Pattern string          `json:"pattern"`
		Data    json.RawMessage `json:"data,omitempty"`
	}
	if len(data) > maxEchoed {
		data = nil
	}
	text := e.Message
	if e.Code == CodeInternal || e.Code == CodeNotFound || e.Code == CodeConflict || e.Code == CodeBadRequest && pattern == "sendThreadReply" {
		text = ErrInternal.Message // what REST has a status for: the reference says no more here
	}
	out, err := json.Marshal(struct {
		Status  string `json:"status"`
		Message string `json:"message"`
		Cause   cause  `json:"cause"`
	}{"error", text, cause{pattern, data}})
	if err != nil { // data was not JSON
		return []byte(`{"status":"error","message":"Internal server error","cause":{"pattern":` + strconv.Quote(pattern) + `}}`)
	}
	return out
}

func (e *Error) fieldsException() []byte {
	type property struct {
		Property    string            `json:"property"`
		Children    []struct{}        `json:"children"`
		Constraints map[string]string `json:"constraints"`
	}
	var list []property
	for _, f := range e.Fields {
		if n := len(list); n > 0 && list[n-1].Property == f.Field {
			list[n-1].Constraints[f.Rule] = f.Message
			continue
		}
		list = append(list, property{f.Field, []struct{}{}, map[string]string{f.Rule: f.Message}})
	}
	out, err := json.Marshal(list)
	if err != nil { // strings only: cannot happen
		return []byte(`[]`)
	}
	return out
}

// NativeBody renders the error as the value of "err" in a native reply.
func (e *Error) NativeBody() []byte {
	body := struct {
		Code         Code                `json:"code"`
		Status       int                 `json:"status"`
		Message      string              `json:"message"`
		RetryAfterMs int64               `json:"retryAfterMs,omitempty"`
		Fields       map[string][]string `json:"fields,omitempty"`
	}{Code: e.Code, Status: e.Status(), Message: e.Message, RetryAfterMs: e.RetryAfter.Milliseconds()}
	for _, f := range e.Fields {
		if body.Fields == nil {
			body.Fields = map[string][]string{}
		}
		body.Fields[f.Field] = append(body.Fields[f.Field], f.Message)
	}
	out, err := json.Marshal(body)
	if err != nil { // strings and ints only: cannot happen
		return []byte(`{"code":"internal","status":500,"message":"Internal server error"}`)
	}
	return out
}
