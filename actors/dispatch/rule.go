package dispatch

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/rookery-chat/rookery/protocol"
)

// skip tells when the rules of a field are not applied.
type skip uint8

const (
	never skip = iota
	nullish
	blank // nullish, or an empty string
)

// rule is one compiled rule. It is about the value of one field; fails appends
// nothing when the value passes.
type rule struct {
	name    string // the constraint as Socket.IO clients see it
	message string
	inside  bool // looks into a list; skipped without one
	holds   func(v value) bool
	// explain, for rules with more than one text, returns what is wrong.
	explain func(v value) []protocol.FieldError
}

// ruleSet is the compiled tag of one field.
type ruleSet struct {
	skip     skip
	pathUUID bool

	queryUUID bool // may be left out or empty
	query     *intQuery
	numeric   bool // numbers may come as text
	rules     []rule
}

// failures judges a value; nil when it passes.
func (s *ruleSet) failures(field string, v value) []protocol.FieldError {
	if s.skip >= nullish && v.nullish() || s.skip == blank && v.kind == text && v.str == "" {
		return nil
	}
	var failed []protocol.FieldError
	for i := range s.rules {
		r := &s.rules[i]
		switch {
		case r.inside && v.kind != array:
		case r.explain != nil:
			failed = append(failed, r.explain(v)...)
		case !r.holds(v):
			failed = append(failed, protocol.FieldError{Field: field, Rule: r.name, Message: r.message})
		}
	}
	return failed
}

// compileRules reads a rule tag. It panics on a tag that it does not
// understand: tags are part of the program.
func compileRules(field, tag string, t reflect.Type) *ruleSet {
	set := &ruleSet{}
	list := false // "array" was seen
	for _, item := range protocol.SplitRules(tag) {
		spec, custom, _ := strings.Cut(item, "|")
		name, arg, _ := strings.Cut(spec, "=")
		switch name {
		case "optional", "optionalWhenOpen":
			set.skip = nullish
		case "optionalBlank":
			set.skip = blank
		case "pathUUID":
			set.pathUUID = true
		case "queryUUID":
			set.queryUUID = true
		case "queryInt", "queryLimit":
			set.query = &intQuery{def: float64(atoi(field, arg)), strict: name == "queryLimit", min: 1, max: maxLimit}
		case "queryOffset":
			set.query = &intQuery{def: float64(atoi(field, arg)), max: math.MaxInt32}
		case "queryWindow": // as many as there are at once
			n := float64(atoi(field, arg))
			set.query = &intQuery{def: n, min: 1, max: n}
		case "numeric":
			set.numeric = true
		default:
			r := newRule(field, name, arg, t, list)
			if custom != "" {
				r.message = custom
			}
			set.rules = append(set.rules, r)
			list = list || name == "array"
		}
	}
	return set
}

func newRule(f, name, arg string, t reflect.Type, list bool) rule {
	switch name {
	case "string":
		return rule{name: "isString", message: f + " must be a string", holds: func(v value) bool { return v.kind == text }}
	case "nonempty":
		return rule{name: "isNotEmpty", message: f + " should not be empty", holds: func(v value) bool {
			return !v.nullish() && (v.kind != text || v.str != "")
		}}
	case "bool":
		return rule{name: "isBoolean", message: f + " must be a boolean value", holds: func(v value) bool { return v.kind == boolean }}
	case "int":
		top := float64(1<<31 - 1) // an integer column
		if kindOf(t) == reflect.Int64 {
			top = 1<<53 - 1 // what JavaScript counts exactly
		}
		return rule{name: "isInt", message: f + " must be an integer number", holds: func(v value) bool {
			return v.integer() && math.Abs(v.num) <= top
		}}
	case "whole": // silent about what is no number: "number" tells
		return rule{name: "isInt", message: f + " must be an integer number", holds: func(v value) bool {
			return v.kind != number || v.integer() && math.Abs(v.num) <= 1<<53-1
		}}
	case "object":
		return rule{name: "isObject", message: f + " must be an object", holds: func(v value) bool { return v.kind == object }}
	case "number":
		return rule{name: "isNumber", message: f + " must be a number conforming to the specified constraints", holds: isNumber}
	case "min", "max":
		return newBound(f, name, atoi(f, arg), t)
	case "array":
		return rule{name: "isArray", message: f + " must be an array", holds: func(v value) bool { return v.kind == array }}
	case "arrayMin":
		n := atoi(f, arg)
		return rule{name: "arrayMinLength", message: fmt.Sprintf("%s must contain at least %d elements", f, n), holds: func(v value) bool {
			return v.kind == array && len(v.list) >= n
		}}
	case "arrayMax":
		n := atoi(f, arg)
		return rule{name: "arrayMaxSize", message: fmt.Sprintf("%s must contain no more than %d elements", f, n), inside: true, holds: func(v value) bool {
			return len(v.list) <= n
		}}
	case "uuid":
		return rule{name: "isUuid", message: f + " must be a UUID", holds: isUUID}
	case "eachUUID":
		return rule{name: "isUuid", message: "each value in " + f + " must be a UUID", inside: list, holds: eachUUID}
	case "eachAction":
		return newEachEnum(f, actionNames(), list)
	case "email":
		return rule{name: "isEmail", message: f + " must be an email", holds: isEmail}
	case "enum":
		return newEnum(f, strings.Split(arg, ";"))
	case "jsDate":
		return rule{name: "isDate", message: f + " must be a Date instance", holds: func(v value) bool { _, ok := jsDate(v); return ok }}
	case "hourMinute":
		return rule{name: "matches", message: f + " must be in HH:mm format (24-hour)", holds: func(v value) bool {
			return v.kind == text && hourMinute.MatchString(v.str)
		}}
	case "timeZone":
		return rule{name: "isTimeZone", message: f + " must be a valid IANA time-zone", holds: isTimeZone}
	case "isoDate":
		return rule{name: "isDateString", message: f + " must be a valid ISO 8601 date string", holds: isISODate}
	case "pattern":
		re := regexp.MustCompile(arg)
		return rule{name: "matches", message: f + " must match " + arg + " regular expression", holds: func(v value) bool {
			return v.kind == text && re.MatchString(v.str)
		}}
	case "spans":
		return rule{inside: true, explain: spanFailures}
	}
	panic(fmt.Sprintf("dispatch: field %s has an unknown rule %q", f, name))
}

// newBound is min or max: of the length of strings, of the value of numbers.
func newBound(f, name string, n int, t reflect.Type) rule {
	limit := float64(n)
	switch kindOf(t) {
	case reflect.String:
		if name == "min" {
			return rule{name: "minLength", message: fmt.Sprintf("%s must be longer than or equal to %d characters", f, n),
				holds: func(v value) bool { return v.kind == text && length(v.str) >= n }}
		}
		return rule{name: "maxLength", message: fmt.Sprintf("%s must be shorter than or equal to %d characters", f, n),
			holds: func(v value) bool { return v.kind == text && length(v.str) <= n }}
	case reflect.Int, reflect.Int64, reflect.Float64:
		if name == "min" {
			return rule{name: "min", message: fmt.Sprintf("%s must not be less than %d", f, n),
				holds: func(v value) bool { return v.kind == number && v.num >= limit }}
		}
		return rule{name: "max", message: fmt.Sprintf("%s must not be greater than %d", f, n),
			holds: func(v value) bool { return v.kind == number && v.num <= limit }}
	default:
		panic(fmt.Sprintf("dispatch: field %s of type %v has no %s", f, t, name))
	}
}

func newEnum(f string, values []string) rule {
	return rule{name: "isEnum", message: f + " must be one of the following values: " + strings.Join(values, ", "), holds: func(v value) bool {
		for _, s := range values {
			if v.kind == text && v.str == s {
				return true
			}
		}
		return false
	}}
}

func newEachEnum(f string, values []string, inside bool) rule {
	return rule{name: "isEnum", message: "each value in " + f + " must be one of the following values: " + strings.Join(values, ", "), inside: inside,
		holds: func(v value) bool {
			if v.kind != array {
				return false
			}
			for _, raw := range v.list {
				if !contains(values, valueOf(raw)) {
					return false
				}
			}
			return true
		}}
}

func actionNames() []string {
	all := protocol.AllActions()
	names := make([]string, len(all))
	for i, a := range all {
		names[i] = a.String()
	}
	return names
}

// kindOf looks through pointers and patches.
func kindOf(t reflect.Type) reflect.Kind {
	for {
		switch {
		case t.Kind() == reflect.Pointer:
			t = t.Elem()
		case isPatch(t):
			t = patchValue(t)
		default:
			return t.Kind()
		}
	}
}

func atoi(field, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(fmt.Sprintf("dispatch: field %s: %q is not a number", field, s))
	}
	return n
}
