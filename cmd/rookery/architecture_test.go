package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/rookery-chat/rookery/"

// layers lists what each part of the tree may import of the others. Imports
// point down only; kinds of actors never import each other.
var layers = []struct {
	path string // longest match wins
	may  []string
}{
	{"cmd/rookery", []string{"cmd/load", "httpapi", "actors/", "cluster", "persistence", "protocol"}},
	{"cmd/bench", []string{"cmd/load", "actors/socket", "protocol"}},
	{"cmd/load", nil},
	{"httpapi", []string{"httpapi", "persistence", "protocol"}},
	{"actors/socket", []string{"protocol"}},
	{"actors/rules", []string{"protocol"}},
	{"actors/turn", []string{"cluster", "persistence", "protocol"}},
	{"actors/gate", []string{"cluster", "persistence", "protocol"}},
	{"actors/dispatch", []string{"cluster", "persistence", "protocol"}},
	{"actors/conversation", []string{"actors/turn", "actors/rules", "cluster", "persistence", "protocol"}},
	{"actors/channel", []string{"actors/conversation", "actors/turn", "actors/rules", "cluster", "persistence", "protocol"}},
	{"actors/dm", []string{"actors/conversation", "actors/turn", "actors/rules", "cluster", "persistence", "protocol"}},
	{"actors/replay", []string{"actors/replay"}},
	{"actors/", []string{"actors/turn", "actors/rules", "actors/socket", "cluster", "persistence", "protocol"}},
	{"cluster", []string{"protocol"}},
	{"persistence", []string{"persistence", "protocol"}},
	{"protocol", []string{"protocol"}},
}

// TestImportsPointDown reads the import graph and fails on an arrow that runs
// up or across.
func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	list.Dir = "../.."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := json.NewDecoder(strings.NewReader(string(out)))
	for packages.More() {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := packages.Decode(&p); err != nil {
			t.Fatal(err)
		}
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			if to, ours := strings.CutPrefix(imported, module); ours && !mayImport(from, to) {
				t.Errorf("%s imports %s", from, to)
			}
		}
	}
}

func mayImport(from, to string) bool {
	var may []string
	longest := -1
	for _, l := range layers {
		if strings.HasPrefix(from, l.path) && len(l.path) > longest {
			longest, may = len(l.path), l.may
		}
	}
	for _, prefix := range may {
		if strings.HasPrefix(to, prefix) {
			return true
		}
	}
	return false
}
