package s3test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Start runs a server that keeps its bucket in a directory. The test is skipped
// where there is none.
func Start(t *testing.T) (url, dir string) {
	t.Helper()
	program := os.Getenv("ROOKERY_TEST_VERSITYGW")
	if program == "" {
		program = filepath.Join(root(t), "bin", "versitygw")
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("no S3 server: `make versitygw` builds one")
	}
	data := t.TempDir()
	dir = filepath.Join(data, "rookery")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, "--port", addr, "--access", "key", "--secret", "secret", "--region", "us-east-1", "posix", data)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(until) {
			t.Fatalf("the S3 server does not listen: %s", log.String())
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	return "s3://rookery?region=us-east-1&use_path_style=true&endpoint=http://" + addr, dir
}

// root is the directory of the module.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no module around the test")
		}
		dir = up
	}
}
