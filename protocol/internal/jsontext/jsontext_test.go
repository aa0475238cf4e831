package jsontext

import (
	"encoding/json"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func TestSkipValueFindsTheEnd(t *testing.T) {
	for _, v := range []string{
		`1`, `-1.5e9`, `true`, `null`, `""`, `"a\"]b"`, `"\\"`, `[]`, `[1,[2,"]"],{"a":"}"}]`, `{}`, `{"a":{"b":[]},"c":"\\\""}`,
	} {
		for _, tail := range []string{"", ",2", "]", "}", " ]"} {
			if got := SkipValue([]byte(v+tail), 0); got != len(v) {
				t.Errorf("SkipValue(%q) = %d, want %d", v+tail, got, len(v))
			}
		}
	}
}

func TestInteger(t *testing.T) {
	for lit, want := range map[string]int64{"0": 0, "7": 7, "9007199254740991": maxInteger} {
		if got, ok := Integer([]byte(lit)); !ok || got != want {
			t.Errorf("Integer(%q) = %d, %v", lit, got, ok)
		}
	}
	for _, lit := range []string{"", "-1", "1.0", "1e3", "9007199254740992", "99999999999999999", "x"} {
		if _, ok := Integer([]byte(lit)); ok {
			t.Errorf("Integer(%q) accepted", lit)
		}
	}
}

func TestStringsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		lit := AppendString(nil, s)
		var std string
		if err := json.Unmarshal(lit, &std); err != nil || std != s {
			t.Fatalf("AppendString(%q) = %s: %q, %v", s, lit, std, err)
		}
		if got, ok := Unquote(lit); !ok || got != s {
			t.Fatalf("Unquote(%s) = %q, %v", lit, got, ok)
		}
	})
}

func FuzzSkipValue(f *testing.F) {
	f.Add([]byte(`{"a":[1,"x"]}`))
	f.Add([]byte(`"\`))
	f.Fuzz(func(t *testing.T, b []byte) {
		start := SkipSpace(b, 0)
		end := SkipValue(b, start)
		if end > len(b) {
			t.Fatalf("end %d beyond %d", end, len(b))
		}
		if json.Valid(b) && SkipSpace(b, end) != len(b) {
			t.Fatalf("valid value %s cut at %s", strconv.Quote(string(b)), strconv.Itoa(end))
		}
	})
}
