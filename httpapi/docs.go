package httpapi

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/rookery-chat/rookery/httpapi/apidocs"
	"github.com/rookery-chat/rookery/protocol"
)

// Where the API is described.
const (
	documentPath = "/api/openapi.json"
	docsPath     = "/api-docs"
)

// apiDocs are the document and the page, made once.
type apiDocs struct {
	document []byte
	page     []byte
	policy   string
}

// newAPIDocs describes what is served. It panics when a row can't be described:
// rows are part of the program.
func newAPIDocs(cfg Config) *apiDocs {
	var d apiDocs
	var err error
	d.document, err = apidocs.Document(apidocs.Config{
		Version: cfg.Version, Operations: cfg.Operations, Limits: describeLimits,
		Entries: []apidocs.Entry{
			{Method: "GET", Path: "/api", Tag: "health", Summary: "Hello", Public: true, Type: "text/html"},
			{Method: "GET", Path: "/api/health", Tag: "health", Summary: "Health of the parts", Public: true,
				Reply: reflect.TypeFor[report](), Also: []int{http.StatusServiceUnavailable}},
			{Method: "GET", Path: documentPath, Tag: "health", Summary: "This document", Public: true, Type: "application/json"},
		},
	})
	if err == nil {
		d.page, d.policy, err = apidocs.Page()
	}
	if err != nil {
		panic(fmt.Sprintf("httpapi: %v", err))
	}
	return &d
}

// describeLimits says for people what the limits of a class are.
func describeLimits(class protocol.RateClass) string {
	var parts []string
	for _, l := range limitsOf[class] {
		parts = append(parts, fmt.Sprintf("%d in %v", l.Max, l.Per))
	}
	return strings.Join(parts, ", ")
}

func (s *Server) serveDocument(x *exchange) error {
	writeJSON(x.w, x.r, http.StatusOK, s.docs.document)
	return nil
}

func (s *Server) serveDocs(x *exchange) error {
	h := x.w.Header()
	h["Content-Type"] = htmlType
	h["Content-Security-Policy"] = []string{s.docs.policy}
	h["Cache-Control"] = []string{"no-cache"}
	x.w.WriteHeader(http.StatusOK)
	_, err := x.w.Write(s.docs.page)
	return err
}
