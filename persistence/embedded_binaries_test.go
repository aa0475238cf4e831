package persistence_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rookery-chat/rookery/persistence"
)

func TestChooseBinaries(t *testing.T) {
	t.Parallel()
	install := func(version string) string {
		dir := t.TempDir()
		for _, name := range []string{"initdb", "postgres"} {
			script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
			if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	v12, v14, v16, v17 := install("12.3"), install("14.11 (Debian 14.11-1)"), install("16.2"), install("17beta1")
	rows := []struct {
		name    string
		version int
		dirs    []string
		want    string // directory or part of the error
	}{
		{"newest", 0, []string{v14, v17, v16, v12}, v17},
		{"first of equals", 0, []string{v16, install("16.9")}, v16},
		{"the one that made the data", 14, []string{v17, v14}, v14},
		{"not the one that made the data", 15, []string{v17, v14}, "made by Postgres 15, which is not installed (found: 14, 17)"},
		{"too old", 0, []string{v12}, "Postgres 12 is too old"},
		{"none", 0, []string{t.TempDir()}, "no Postgres installation found"},
	}
	for _, row := range rows {
		bin, err := persistence.ChooseBinaries(row.version, row.dirs...)
		if err != nil {
			bin = err.Error()
		}
		if !strings.Contains(bin, row.want) {
			t.Errorf("%s: %s, want %s", row.name, bin, row.want)
		}
	}
}
