package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRefusesToStart checks that what an operator can get wrong gives one clear
// line and exit code 1.
func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, says string
		args       []string
	}{
		{"port in use", "in use", []string{"--listen", taken.Addr().String()}},
		{"data is a file", "directory", []string{"--data", file}},
		{"data below a file", "directory", []string{"--data", filepath.Join(file, "x")}},
		{"no such database", "connect", []string{"--database-url", "postgres://nobody:x@127.0.0.1:1/none"}},
		{"not a URL", "--database-url", []string{"--database-url", "http://x"}},
		{"rate limits", "--rate-limits", []string{"--rate-limits", "maybe"}},
		{"api docs", "--api-docs", []string{"--api-docs", "maybe"}},
		{"join without listen", "--cluster-listen", []string{"--join", "127.0.0.1:1"}},
		{"log level", "--log-level", []string{"--log-level", "loud"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir()}, c.args...)
			var stderr bytes.Buffer
			cmd := exec.CommandContext(within(t), binary, args...)
			cmd.Stderr = &stderr
			if err := cmd.Run(); cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("exit code %d: %v", cmd.ProcessState.ExitCode(), err)
			}
			said := strings.TrimSpace(stderr.String())
			if strings.Count(said, "\n") != 0 || !strings.HasPrefix(said, "rookery: ") || !strings.Contains(said, c.says) {
				t.Errorf("it says %q, want one line with %q", said, c.says)
			}
		})
	}
}

// TestEmbedded is the life of a server with its own Postgres: first start,
// secrets, front page, set-up, restart with the same data.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	ctx := within(t)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/api/health": 200, "/api": 200, "/": 200, "/nope": 404, "/api-docs": 200, "/api/openapi.json": 200} {
		if got := get(ctx, t, n.url()+path); got != want {
			t.Errorf("GET %s: %d", path, got)
		}
	}
	info, err := os.Stat(filepath.Join(n.data, secretsFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("secrets: %v %v", info, err)
	}
	w := newWorkload(t, n, 1)
	s := listen(t, n, w.owner.Token)
	id, err := s.s.SendMessage(ctx, w.owner.General, "kept")
	if err != nil {
		t.Fatal(err)
	}
	// A second server must not touch the data of the first.
	second := exec.CommandContext(ctx, binary, "serve", "--listen", "127.0.0.1:0", "--data", n.data)
	if out, err := second.CombinedOutput(); err == nil || second.ProcessState.ExitCode() != 1 {
		t.Errorf("a second server on the same data: %v %s", err, out)
	}
	if err := n.stop(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	n.start()
	history, err := n.api().As(w.owner.Token).History(ctx, w.owner.General)
	if err != nil {
		t.Fatalf("the token of before the restart: %v", err)
	}
	found := false
	for _, m := range history {
		found = found || m.ID == id
	}
	if !found {
		t.Error("the message is gone after a restart")
	}
	for _, line := range n.problems() {
		t.Errorf("server logged %s", line)
	}
}

func get(ctx context.Context, t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
	}{{nil, 0}, {[]string{"help"}, 0}, {[]string{"serve", "--help"}, 0}, {[]string{"version"}, 0}, {[]string{"dance"}, 2}, {[]string{"serve", "--no-such-flag"}, 2}} {
		cmd := exec.CommandContext(within(t), binary, c.args...)
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.code || len(out) == 0 {
			t.Error(fmt.Sprint(c.args), "ends with", code, err, string(out))
		}
	}
}
