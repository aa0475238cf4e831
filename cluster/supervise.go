package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// loud logs a panic with its stack before the strategy deals with the actor.
// It runs on the goroutine that panics, on top of the frames that did.
type loud struct {
	log  *slog.Logger
	then actor.SupervisorStrategy
}

// HandleFailure implements actor.SupervisorStrategy.
func (l *loud) HandleFailure(system *actor.ActorSystem, supervisor actor.Supervisor, child *actor.PID, rs *actor.RestartStatistics, reason, message any) {
	l.log.Error("actor panicked", "actor", child.GetId(), "panic", fmt.Sprint(reason), "message", fmt.Sprintf("%T", actor.UnwrapEnvelopeMessage(message)), "stack", string(debug.Stack()))
	l.then.HandleFailure(system, supervisor, child, rs, reason, message)
}

// A virtual actor stops: the next message activates it afresh, from storage. A
// named actor has no storage and nobody who would start it again: it restarts.
func newStrategies(log *slog.Logger) (stop, restart actor.SupervisorStrategy) {
	stop = &loud{log, actor.NewOneForOneStrategy(0, 0, func(any) actor.Directive { return actor.StopDirective })}
	restart = &loud{log, actor.NewOneForOneStrategy(10, 10*time.Second, func(any) actor.Directive { return actor.RestartDirective })}
	return stop, restart
}

// libraryLog lets the library's warnings through without the values of messages,
// which are nobody's business in a log.
type libraryLog struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h libraryLog) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

// Handle implements slog.Handler. What the library calls an error is a lost
// connection more often than not; the cluster retries and reports what matters.
func (h libraryLog) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, min(r.Level, slog.LevelWarn), r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "message" {
			out.AddAttrs(a)
		}
		return true
	})
	return h.Handler.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h libraryLog) WithAttrs(a []slog.Attr) slog.Handler { return libraryLog{h.Handler.WithAttrs(a)} }

// WithGroup implements slog.Handler.
func (h libraryLog) WithGroup(name string) slog.Handler {
	return libraryLog{h.Handler.WithGroup(name)}
}

// gossipLog turns memberlist's lines ("[WARN] memberlist: ...") into records.
type gossipLog struct{ log *slog.Logger }

func (g gossipLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	switch {
	case strings.HasPrefix(text, "[ERR]"), strings.HasPrefix(text, "[WARN]"):
		_, text, _ = strings.Cut(text, "] ")
		g.log.Warn("gossip", "text", text)
	default:
		_, text, _ = strings.Cut(text, "] ")
		g.log.Debug("gossip", "text", text)
	}
	return len(line), nil
}
