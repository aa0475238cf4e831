//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
)

var commands = map[string]func(ctx context.Context, args []string) error{
	"floor":       runFloor,
	"transport":   runTransport,
	"subscribers": runSubscribers,
	"fanout":      runFanout,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: bench fanout|floor|transport|subscribers [flags]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](ctx, os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// say writes one line of the conversation between the processes.
func say(line any) error { return json.NewEncoder(os.Stdout).Encode(line) }
