package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

const (
	probeTimeout = 3 * time.Second
	probeEvery   = time.Second // the route has no limit, so its work must have one
)

// partStatus is how a part is.
type partStatus struct {
	Status string `json:"status"`
}

// report is the body of GET /api/health.
type report struct {
	Status       string                `json:"status"`
	InstanceName string                `json:"instanceName,omitempty"`
	Info         map[string]partStatus `json:"info"`
	Error        map[string]partStatus `json:"error"`
	Details      map[string]partStatus `json:"details"`
}

// prober checks the parts, at most once in a while however many ask.
type prober struct {
	parts []HealthPart
	mu    sync.Mutex
	last  report
	at    time.Time
}

func newProber(parts []HealthPart) *prober { return &prober{parts: parts} }

func (p *prober) probe(ctx context.Context, now time.Time) report {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.at.IsZero() && now.Sub(p.at) < probeEvery {
		return p.last
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	failed := make([]error, len(p.parts))
	var all sync.WaitGroup
	for i, part := range p.parts {
		all.Go(func() { failed[i] = part.Check(ctx) })
	}
	all.Wait()
	r := report{Status: "ok", Info: map[string]partStatus{}, Error: map[string]partStatus{}, Details: map[string]partStatus{}}
	for i, part := range p.parts {
		if failed[i] != nil {
			r.Status = "error"
			r.Error[part.Name], r.Details[part.Name] = partStatus{"down"}, partStatus{"down"}
			continue
		}
		r.Info[part.Name], r.Details[part.Name] = partStatus{"up"}, partStatus{"up"}
	}
	p.last, p.at = r, now
	return r
}

func (s *Server) serveHealth(x *exchange) error {
	r := s.health.probe(x.r.Context(), s.now())
	r.InstanceName = s.instance(x.r.Context()).Name
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	x.w.Header()["Cache-Control"] = []string{"no-cache, no-store, must-revalidate"}
	status := http.StatusOK
	if r.Status != "ok" {
		status = http.StatusServiceUnavailable
	}
	writeJSON(x.w, x.r, status, body)
	return nil
}

// instanceCache keeps what the instance says of itself as long as a probe.
type instanceCache struct {
	mu   sync.Mutex
	info InstanceInfo
	at   time.Time
}

func (s *Server) instance(ctx context.Context) InstanceInfo {
	if s.cfg.Instance == nil {
		return InstanceInfo{}
	}
	c, now := &s.described, s.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() || now.Sub(c.at) >= probeEvery {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
		defer cancel()
		c.info, c.at = s.cfg.Instance(ctx), now
	}
	return c.info
}

func (s *Server) serveHello(x *exchange) error {
	x.w.Header()["Content-Type"] = htmlType
	_, err := x.w.Write([]byte("Hello World!"))
	return err
}

var okText = []byte("ok\n")

// serveAlive answers that the process is there.
func (s *Server) serveAlive(x *exchange) error {
	x.w.Header()["Content-Type"] = textType
	_, err := x.w.Write(okText)
	return err
}

// serveReady answers whether this node wants traffic.
func (s *Server) serveReady(x *exchange) error {
	x.w.Header()["Content-Type"] = textType
	why := ""
	switch {
	case s.draining.Load():
		why = "draining"
	case s.cfg.Ready != nil:
		ctx, cancel := context.WithTimeout(x.r.Context(), probeTimeout)
		defer cancel()
		if err := s.cfg.Ready(ctx); err != nil {
			why = "not ready"
			x.log(0, "node is not ready", err)
		}
	}
	if why != "" {
		x.w.WriteHeader(http.StatusServiceUnavailable)
		_, err := x.w.Write([]byte(why + "\n"))
		return err
	}
	_, err := x.w.Write(okText)
	return err
}
