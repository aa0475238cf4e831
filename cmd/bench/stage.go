//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	client "github.com/rookery-chat/rookery/cmd/load"
	"github.com/rookery-chat/rookery/protocol"
)

// Size of the world.
const (
	allUsers = 10_000
	senders  = 64 // users with a private channel of their own
	readers  = 16 // users of the channel with the long history
)

// stage is a data directory with users in it. Each measurement starts the
// server on it anew.
type stage struct {
	dir       string
	binary    string
	samples   string // directory for profiles, empty: none
	community string
	general   string
	users     []member
	own       []string // channels of the senders
	plain     []string // channels that only the bench itself writes to
	archive   string   // channel with the long history
	archived  bool
	table     table
}

// member is a user who needs no login.
type member struct {
	id    string
	token string
}

// play runs measurements on a stage of their own, and prints what came out.
func play(ctx context.Context, name string, args []string, parts ...func(context.Context, *stage) error) error {
	fs := flag.NewFlagSet(name, flag.ExitOnError)
	s := &stage{}
	fs.StringVar(&s.binary, "rookery", "bin/rookery", "the server's binary")
	keep := fs.Bool("keep", false, "leave the data directory behind")
	fs.StringVar(&s.samples, "profiles", "", "directory for CPU profiles of the server, empty for none (they cost a little)")
	_ = fs.Parse(args)
	if err := s.build(ctx); err != nil {
		return errors.Join(err, os.RemoveAll(s.dir))
	}
	defer func() {
		if *keep {
			progress("kept: %s", s.dir)
			return
		}
		_ = os.RemoveAll(s.dir)
	}()
	failed := 0
	for _, part := range parts {
		if err := part(ctx, s); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fmt.Fprintln(os.Stderr, "bench:", err)
			failed++
		}
	}
	s.table.print(os.Stdout)
	if failed > 0 {
		return fmt.Errorf("%d measurements failed", failed)
	}
	return nil
}

// build makes the data directory: the server founds itself, the users come
// straight into its database.
func (s *stage) build(ctx context.Context) error {
	began := time.Now()
	for _, dir := range []string{s.samples} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	var err error
	if s.dir, err = os.MkdirTemp("", "rookery-bench-"); err != nil {
		return err
	}
	// Postgres may run as another user, who has to pass through.
	if err := os.Chmod(s.dir, 0o711); err != nil {
		return err
	}
	r, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer r.stop()
	owner, err := client.API{Base: "http://" + r.addr}.Setup(ctx)
	if err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	s.community, s.general = owner.Community, owner.General
	if err := s.populate(ctx); err != nil {
		return fmt.Errorf("make users: %w", err)
	}
	err = s.mint()
	progress("stage: %d users, %.1f s", len(s.users), time.Since(began).Seconds())
	return err
}

// open starts the server on the stage.
func (s *stage) open(ctx context.Context) (*rookery, error) {
	r, err := startRookery(ctx, s.binary, s.dir)
	if err == nil {
		r.samples = s.samples
	}
	return r, err
}

// mint signs an access token for everybody, as a login does, and writes them to
// files for the clients.
func (s *stage) mint() error {
	var secrets struct {
		Access string `json:"jwtSecret"`
	}
	raw, err := os.ReadFile(filepath.Join(s.dir, "secrets.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &secrets); err != nil {
		return err
	}
	var lines strings.Builder
	now := time.Now()
	for i := range s.users {
		u := &s.users[i]
		u.token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"username": username(i), "role": "USER", "sub": u.id, "sid": newID(), "jti": newID(),
			"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		}).SignedString([]byte(secrets.Access))
		if err != nil {
			return err
		}
		lines.WriteString(u.token + "\n")
	}
	return os.WriteFile(s.tokens(), []byte(lines.String()), 0o600)
}

// tokens is the file with the token of each user.
func (s *stage) tokens() string { return filepath.Join(s.dir, "tokens") }

func username(i int) string { return fmt.Sprintf("bench%05d", i) }

func newID() string { return protocol.NewID[struct{}]().String() }

// progress tells what is going on, on the way to the table.
func progress(format string, args ...any) {
	fmt.Printf("%s  "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}
