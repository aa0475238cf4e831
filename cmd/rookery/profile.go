package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"

	"github.com/rookery-chat/rookery/actors/connection"
	"github.com/rookery-chat/rookery/actors/relay"
	"github.com/rookery-chat/rookery/actors/socket"
	"github.com/rookery-chat/rookery/cluster"
	"github.com/rookery-chat/rookery/persistence"
)

// openProfile serves Go profiles and the figures of this node on a listener of
// their own, which is for operators only.
func (s *server) openProfile(ctx context.Context) error {
	if s.cfg.profile == "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.profile)
	if err != nil {
		return fmt.Errorf("--profile-listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/debug/stats", s.serveStats)
	s.profile = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := s.profile.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("profile listener failed", "error", err)
		}
	}()
	return nil
}

// figures are what a node can say about itself.
type figures struct {
	Node       string
	Nodes      int
	Goroutines int
	Heap       uint64 // bytes in use
	Sockets    socket.Stats
	Relay      relay.Stats
	Sessions   connection.SessionStats
	Cluster    cluster.Stats
	Writer     persistence.WriterStats
	Pages      persistence.PageStats
}

func (s *server) serveStats(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.Header().Set("Content-Type", "application/json")
	err := json.NewEncoder(w).Encode(figures{
		Node: s.node.ID(), Nodes: len(s.node.View().Members), Goroutines: runtime.NumGoroutine(), Heap: m.HeapInuse,
		Sockets: s.poller.Stats(), Relay: s.relay.Stats(), Sessions: s.sockets.Sessions(), Cluster: s.node.Stats(), Writer: s.writer.Stats(),
		Pages: s.db.PageStats(),
	})
	if err != nil {
		s.log.Debug("stats not written", "error", err)
	}
}
