package httpapi

import (
	"net/url"
	"strings"

	"github.com/rookery-chat/rookery/protocol"
)

// router finds routes by method and path: literals in any case, {name} for one
// segment, fixed segments before parameters.
type router struct {
	root node
}

type node struct {
	fixed  map[string]*node // by lower-case segment
	param  *node
	routes map[string]*route // by method
}

// route is the leaf: what serves a method and path.
type route struct {
	name    string   // for limits and logs
	params  []string // names, in order of the path
	handler handler
	limits  []Limit // nil: not limited
	public  bool
	rawBody bool

	// auth finds out who asks in a way of its own; nil: by token.
	auth func(*exchange) (protocol.Caller, error)
}

// add makes a route known. Two routes for one method and path are a defect of
// the program.
func (rt *router) add(method, path string, r *route) {
	n := &rt.root
	for _, segment := range segments(path) {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			r.params = append(r.params, strings.TrimSuffix(name, "}"))
			if n.param == nil {
				n.param = &node{}
			}
			n = n.param
			continue
		}
		if n.fixed == nil {
			n.fixed = map[string]*node{}
		}
		key := strings.ToLower(segment)
		if n.fixed[key] == nil {
			n.fixed[key] = &node{}
		}
		n = n.fixed[key]
	}
	if n.routes == nil {
		n.routes = map[string]*route{}
	}
	if n.routes[method] != nil {
		panic("httpapi: two routes for " + method + " " + path)
	}
	n.routes[method] = r
}

// maxSegments bounds the paths that are looked at; the longest route has six.
const maxSegments = 16

// segments splits a path; one trailing slash does not count.
func segments(path string) []string {
	path = strings.TrimPrefix(path, "/")
	path = strings.TrimSuffix(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// find returns the route of an escaped path and the values of its parameters.
// A HEAD is answered by the route of GET.
func (rt *router) find(method, path string) (*route, map[string]string) {
	if method == "HEAD" {
		method = "GET"
	}
	if strings.Count(path, "/") > maxSegments {
		return nil, nil
	}
	var values [maxSegments]string
	r, found := rt.root.find(method, segments(path), values[:0])
	if r == nil || len(r.params) == 0 {
		return r, nil
	}
	params := make(map[string]string, len(r.params))
	for i, name := range r.params {
		params[name] = found[i]
	}
	return r, params
}

func (n *node) find(method string, path []string, values []string) (*route, []string) {
	if len(path) == 0 {
		return n.routes[method], values
	}
	segment, err := url.PathUnescape(path[0])
	if err != nil || segment == "" {
		return nil, nil
	}
	if next := n.fixed[lower(segment)]; next != nil {
		if r, v := next.find(method, path[1:], values); r != nil {
			return r, v
		}
	}
	if n.param == nil {
		return nil, nil
	}
	return n.param.find(method, path[1:], append(values, segment))
}

// lower is strings.ToLower without work for what is lower already.
func lower(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'Z' || c >= 0x80 {
			return strings.ToLower(s)
		}
	}
	return s
}
