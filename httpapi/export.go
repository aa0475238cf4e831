package httpapi

import (
	"archive/zip"
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

const (
	// exportLife bounds an export as a whole, exportStep each write of it: whoever
	// reads slowly holds a connection to the database meanwhile.
	exportLife = 10 * time.Minute
	exportStep = 30 * time.Second
	// maxExports bounds the exports that a node works on, exportWait how long
	// others wait for their turn.
	maxExports = 2
	exportWait = 30 * time.Second
)

var errExporting = protocol.Conflict("An export of your data is already running")

// export sends all that is stored of the caller as a ZIP, while it is read.
func (s *Server) export(x *exchange) error {
	select {
	case s.exports <- struct{}{}:
		defer func() { <-s.exports }()
	case <-x.r.Context().Done():
		return protocol.ErrDeadline
	case <-time.After(exportWait):
		return protocol.Unavailable("Too many exports at the moment, please retry")
	}
	user, run := x.caller.UserID, protocol.AnyID(protocol.NewRandomID[struct{}]())
	ok, err := s.cfg.DB.ClaimExport(x.r.Context(), user, run, protocol.InstantOf(s.now()), exportLife)
	switch {
	case err != nil:
		return err
	case !ok:
		return errExporting
	}
	defer func() {
		if err := s.cfg.DB.ReleaseExport(context.WithoutCancel(x.r.Context()), user, run); err != nil {
			x.log(slog.LevelWarn, "export is not released before its time", err)
		}
	}()
	h := x.w.Header()
	h["Content-Type"] = []string{"application/zip"}
	h["Content-Disposition"] = []string{`attachment; filename="rookery-export.zip"`}
	h["Cache-Control"] = []string{"no-store"}
	x.w.WriteHeader(http.StatusOK)
	if x.r.Method == http.MethodHead {
		return nil
	}
	if err := s.writeExport(x, user); err != nil {
		x.log(slog.LevelWarn, "export was cut off", err)
		panic(http.ErrAbortHandler) // the client must not take half of it for the whole
	}
	return nil
}

func (s *Server) writeExport(x *exchange, user protocol.UserID) error {
	ctx, cancel := context.WithTimeout(x.r.Context(), exportLife)
	defer cancel()
	archive := zip.NewWriter(&patient{w: x.w, rc: http.NewResponseController(x.w), step: exportStep})
	create := func(file string) (io.Writer, error) {
		return archive.CreateHeader(&zip.FileHeader{Name: file, Method: zip.Deflate, Modified: s.now().UTC()})
	}
	if err := s.cfg.DB.ExportAccount(ctx, user, create); err != nil {
		return err
	}
	return archive.Close()
}

// patient gives each write its own deadline instead of one to all.
type patient struct {
	w  io.Writer
	rc *http.ResponseController

	step time.Duration
}

func (p *patient) Write(b []byte) (int, error) {
	_ = p.rc.SetWriteDeadline(time.Now().Add(p.step)) // without support there was no deadline
	return p.w.Write(b)
}
