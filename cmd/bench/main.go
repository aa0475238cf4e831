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
	"senders":     runSenders,
	"fanout":      runFanout,

	"all":            played("all", memory, storm, serverFanout, serverHighest, sends, history, finding, notices),
	"server-fanout":  played("server-fanout", serverFanout),
	"server-highest": played("server-highest", serverHighest),
	"memory":         played("memory", memory),
	"storm":          played("storm", storm),
	"sends":          played("sends", sends),
	"history":        played("history", history),
	"search":         played("search", finding),
	"notices":        played("notices", notices),
}

// played is the command that runs measurements of the whole server.
func played(name string, parts ...func(context.Context, *stage) error) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error { return play(ctx, name, args, parts...) }
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: bench all|server-fanout|server-highest|memory|storm|sends|history|search|notices|fanout [flags]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := commands[os.Args[1]](ctx, os.Args[2:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// say writes one line of the conversation between the processes.
func say(line any) error { return json.NewEncoder(os.Stdout).Encode(line) }
