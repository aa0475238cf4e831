//go:build !noembedsfu

package sfu

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/livekit/livekit-server/pkg/config"
	"github.com/livekit/livekit-server/pkg/routing"
	"github.com/livekit/livekit-server/pkg/service"
	"github.com/livekit/livekit-server/pkg/telemetry/prometheus"
)

// Embedded tells whether this binary can be a LiveKit server.
const Embedded = true

// Bounds of a child.
const (
	maxConfig   = 1 << 16
	stopTimeout = 5 * time.Second
)

// Serve is a LiveKit server until in ends, which it does at the latest when the process
// at its other end dies. The first line of in is the configuration.
func Serve(ctx context.Context, in io.Reader) error {
	from := bufio.NewReaderSize(in, maxConfig)
	text, err := from.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	conf, err := config.NewConfig(string(text), true, nil, nil)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	if err := conf.ValidateKeys(); err != nil {
		return fmt.Errorf("read the keys: %w", err)
	}
	config.InitLoggerFromConfig(&conf.Logging)
	node, err := routing.NewLocalNode(conf)
	if err != nil {
		return fmt.Errorf("describe the node: %w", err)
	}
	if err := prometheus.Init(string(node.NodeID()), node.NodeType()); err != nil {
		return fmt.Errorf("start the figures: %w", err)
	}
	server, err := service.InitializeServer(conf, node)
	if err != nil {
		return fmt.Errorf("make the server: %w", err)
	}
	orphaned := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, from)
		close(orphaned)
	}()
	ended := make(chan error, 1)
	go func() { ended <- server.Start() }()
	select {
	case err := <-ended:
		return err
	case <-orphaned:
	case <-ctx.Done():
	}
	server.Stop(true)
	select {
	case err := <-ended:
		return err
	case <-time.After(stopTimeout):
		return errors.New("the server did not stop in time")
	}
}
