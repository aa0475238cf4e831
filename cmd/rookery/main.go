// Command rookery is the server: gateway, actors and API in one process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sort"
	"syscall"
)

// version is set by the linker from the newest tag.
var version = "dev"

// command is one sub-command.
type command struct {
	about string
	run   func(ctx context.Context, args []string, out io.Writer) error
}

var commands = map[string]command{
	"serve":        {"start the server", serve},
	"sfu":          {"be the media server that serve starts for itself", serveMedia},
	"postgres-url": {"print the URL of the Postgres that lives in a data directory", postgresURL},
	"version":      {"print the version", printVersion},
}

// errUsage ends the process with code 2: the usage was already printed.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "rookery: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(out)
		return nil
	}
	cmd, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(os.Stderr, "rookery: unknown command %q\n\n", args[0])
		usage(os.Stderr)
		return errUsage
	}
	return cmd.run(ctx, args[1:], out)
}

func usage(out io.Writer) {
	fmt.Fprintln(out, "Rookery, a self-hosted realtime community server.\n\nCommands (rookery COMMAND --help shows the flags):")
	names := make([]string, 0, len(commands))
	for name := range commands {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(out, "  %-14s %s\n", name, commands[name].about)
	}
}

func printVersion(_ context.Context, _ []string, out io.Writer) error {
	_, err := fmt.Fprintln(out, version)
	return err
}
