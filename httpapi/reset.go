package httpapi

import (
	"bytes"
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"github.com/rookery-chat/rookery/protocol"
)

//go:embed reset.html
var resetHTML string

var resetPage = template.Must(template.New("reset").Parse(resetHTML))

// resetView is what the page behind a reset link shows.
type resetView struct {
	CSS     template.CSS
	Token   string
	Problem string
	Done    bool
}

// serveReset is the page behind a reset link, for those without a client.
func (s *Server) serveReset(x *exchange) error {
	return s.showReset(x, http.StatusOK, resetView{Token: x.r.URL.Query().Get("token")})
}

// takeReset is the form of that page.
func (s *Server) takeReset(x *exchange) error {
	_, err := s.perform(x, &protocol.AccountReset.Operation)
	if err == nil {
		return s.showReset(x, http.StatusOK, resetView{Done: true})
	}
	var known *protocol.Error
	if !errors.As(err, &known) {
		return err
	}
	token, _ := bodyFields(x.body)["token"].(string)
	problem := known.Message
	if len(known.Fields) > 0 {
		texts := make([]string, len(known.Fields))
		for i, f := range known.Fields {
			texts[i] = f.Message
		}
		problem = strings.Join(texts, ", ")
	}
	return s.showReset(x, known.Status(), resetView{Token: token, Problem: problem})
}

func (s *Server) showReset(x *exchange, status int, view resetView) error {
	view.CSS = template.CSS(frontCSS) // #nosec G203 -- embedded, not input
	var page bytes.Buffer
	if err := resetPage.Execute(&page, view); err != nil {
		return err
	}
	h := x.w.Header()
	h["Content-Type"] = htmlType
	h["Content-Security-Policy"] = []string{strings.Replace(s.front.policy, "form-action 'none'", "form-action 'self'", 1)}
	h["Cache-Control"] = []string{"no-store"}
	x.w.WriteHeader(status)
	_, err := x.w.Write(page.Bytes())
	return err
}
