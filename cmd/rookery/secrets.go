package main

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// secrets sign tokens. What the environment does not give is made once and
// kept in the data directory; nodes that share a database share them.
type secrets struct {
	Access  string `json:"jwtSecret"`
	Refresh string `json:"jwtRefreshSecret"`
	Cluster string `json:"clusterSecret"`
	Voice   string `json:"voiceSecret"`
}

// secretVault is where nodes that share a database agree on one value.
type secretVault interface {
	AgreeSecret(ctx context.Context, name, value string) (string, error)
}

const secretsFile = "secrets.json"

// loadSecrets reads or makes the secrets. Each is, first match wins: given by
// the environment, agreed on in the database, kept in the data directory, new.
func loadSecrets(ctx context.Context, dir, clusterSecret string, vault secretVault) (*secrets, error) {
	path := filepath.Join(dir, secretsFile)
	var s secrets
	raw, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read secrets: %w", err)
	}
	for _, v := range []struct {
		name  string
		value *string
		given string
	}{
		{"jwt", &s.Access, os.Getenv("JWT_SECRET")},
		{"jwt-refresh", &s.Refresh, os.Getenv("JWT_REFRESH_SECRET")},
		{"cluster", &s.Cluster, clusterSecret},
		{"voice", &s.Voice, ""},
	} {
		if v.given != "" {
			*v.value = v.given
			continue
		}
		if *v.value == "" {
			*v.value = newSecret()
		}
		if *v.value, err = vault.AgreeSecret(ctx, v.name, *v.value); err != nil {
			return nil, err
		}
	}
	if raw, err = json.MarshalIndent(&s, "", "  "); err != nil {
		return nil, fmt.Errorf("encode secrets: %w", err)
	}
	return &s, writePrivate(path, raw)
}

func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// writePrivate replaces a file so that nobody ever sees half of it, mode 0600.
func writePrivate(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // CreateTemp makes files with mode 0600
	if err != nil {
		return fmt.Errorf("write secrets: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // which is there only if it was not renamed
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write secrets: %w", err)
	}
	return nil
}

// gossipKey is the key that gossip is encrypted with.
func (s *secrets) gossipKey() ([]byte, error) {
	key, err := hkdf.Key(sha256.New, []byte(s.Cluster), nil, "rookery gossip", 32)
	if err != nil {
		return nil, fmt.Errorf("derive gossip key: %w", err)
	}
	return key, nil
}

// fileKey is the key of links to files: given, or derived, so that it is another
// one than that of tokens and the same on all nodes.
func (s *secrets) fileKey() ([]byte, error) {
	if given := os.Getenv("FILE_SIGNING_SECRET"); given != "" {
		return []byte(given), nil
	}
	key, err := hkdf.Key(sha256.New, []byte(s.Access), nil, "rookery file links", 32)
	if err != nil {
		return nil, fmt.Errorf("derive key of links to files: %w", err)
	}
	return key, nil
}
