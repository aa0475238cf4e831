package fulltext_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rookery-chat/rookery/persistence/fulltext"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query, text string
		want        fulltext.Match
	}{
		{"hello", "Hello, world", fulltext.Whole},
		{"HELLO world", "the world says hello", fulltext.Whole},
		{"ello", "Hello, world", fulltext.Part},
		{"hello wor", "Hello, world", fulltext.Part},
		{"hello moon", "Hello, world", fulltext.None},
		{"w", "Hello, world", fulltext.Part},
		{"o", "Hello, world", fulltext.None}, // one letter finds beginnings only
		{"wo", "Hello, world", fulltext.Part},
		{"or", "Hello, world", fulltext.None},
		{"a", "a cat", fulltext.Whole},
		{"an", "banana an", fulltext.Whole},
		{"cafe", "ein Café", fulltext.Whole},
		{"Café", "ein cafe", fulltext.Whole},
		{"strasse", "Straße", fulltext.Whole},
		{"istanbul", "İSTANBUL", fulltext.Whole},
		{"ΑΘΗΝΑ", "στην Αθήνα", fulltext.Whole},
		{"ёлка", "елка", fulltext.Whole},
		{"東京", "昨日は東京タワーに行った", fulltext.Whole},
		{"京", "昨日は東京タワーに行った", fulltext.Whole},
		{"タワー", "昨日は東京ﾀﾜｰに行った", fulltext.Whole},
		{"北京", "昨日は東京タワーに行った", fulltext.None},
		{"안녕", "안녕하세요", fulltext.Whole},
		{"สวัสดี", "ขอสวัสดีครับ", fulltext.Whole},
		{"🎉", "we did it🎉!", fulltext.Whole},
		{"❤️", "i ❤ this", fulltext.Whole},
		{"foo.bar/x", "see https://foo.bar/x?y=1", fulltext.Whole},
		{"", "anything", fulltext.None},
		{"?!.", "what?!.", fulltext.None},
		{"v8", "the v8 engine", fulltext.Whole},
		{"unicorns", "a unicorn", fulltext.Part},
		{"unicorns", "a unicorn, no: unicorns", fulltext.Whole},
		{"planning", "planned", fulltext.Part},
		{"planning", "planet", fulltext.Part}, // of two evils
		{"planning", "explanation", fulltext.None},
		{"corns", "a unicorn", fulltext.None},
		{"the plan", "a plan", fulltext.Whole},
		{"' OR 1=1 & |", "page 1", fulltext.Whole},
		{"to be or not", "to be, or not to be", fulltext.Whole},
		{"to be or not", "to be", fulltext.None},
		{"engine東京", "engine for 東京", fulltext.Whole},
	} {
		if got := fulltext.Parse(c.query).Match(fulltext.Fold(c.text)); got != c.want {
			t.Errorf("%q in %q is %d, not %d", c.query, c.text, got, c.want)
		}
	}
}

// Pieces from which texts and queries are made: few, so that they meet.
var piece = rapid.SampledFrom([]string{"a", "b", "ab", "ba", "aba", "é", "E", " ", " ", ".", "東", "京", "か", "🎉", "ß", "ing", "s", "ed", "the ", "-", "_", "1", "안", "ก็", "\u0301"})

// TestTermsCoverMatches: whatever matches has all the terms by which it is looked for.
func TestTermsCoverMatches(t *testing.T) {
	t.Parallel()
	text := rapid.Custom(func(t *rapid.T) string {
		s := ""
		for _, p := range rapid.SliceOfN(piece, 0, 14).Draw(t, "pieces") {
			s += p
		}
		return s
	})
	rapid.Check(t, func(t *rapid.T) {
		q, s := fulltext.Parse(text.Draw(t, "query")), fulltext.Fold(text.Draw(t, "text"))
		if fulltext.Fold(s) != s {
			t.Fatalf("folding %q twice gives %q", s, fulltext.Fold(s))
		}
		has := fulltext.AppendTerms(nil, s)
		part, whole := q.Terms()
		match := q.Match(s)
		for _, term := range part {
			if match != fulltext.None && !slices.Contains(has, term) {
				t.Fatalf("the text lacks a term of the query")
			}
		}
		for _, term := range whole {
			if match == fulltext.Whole && !slices.Contains(has, term) {
				t.Fatalf("the text lacks an edge of the query")
			}
		}
	})
}

// TestPack: what was added is found in its shard, and nothing else.
func TestPack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := rapid.SliceOfNDistinct(rapid.Uint32(), 1, 40, rapid.ID[uint32]).Draw(t, "terms")
		var b fulltext.Builder
		want := map[fulltext.Term]fulltext.Set{}
		for _, term := range terms {
			texts := rapid.SliceOfN(rapid.IntRange(0, fulltext.MaxTexts-1), 0, 30).Draw(t, "texts")
			if rapid.Bool().Draw(t, "common") {
				for i := range 2000 {
					texts = append(texts, 2*i)
				}
			}
			var set fulltext.Set
			for _, n := range texts {
				b.Add(n, []fulltext.Term{fulltext.Term(term)})
				set[n/64] |= 1 << (n % 64)
			}
			want[fulltext.Term(term)] = set
		}
		shards := b.Build()
		for term, set := range want {
			got, err := fulltext.Find(shards[fulltext.ShardOf(term, len(shards))], term)
			if err != nil || got != set {
				t.Fatalf("term %x: %v, other texts than were added", term, err)
			}
			if _, known := want[term+1]; !known {
				if got, err := fulltext.Find(shards[fulltext.ShardOf(term+1, len(shards))], term+1); err != nil || !got.Empty() {
					t.Fatalf("term %x was never added: %v", term+1, err)
				}
			}
		}
	})
}

func TestPop(t *testing.T) {
	t.Parallel()
	var s fulltext.Set
	for _, n := range []int{0, 63, 64, 4095} {
		s[n/64] |= 1 << (n % 64)
	}
	for _, want := range []int{4095, 64, 63, 0, -1} {
		if got := s.Pop(); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
	}
}

func FuzzFind(f *testing.F) {
	var b fulltext.Builder
	b.Add(7, []fulltext.Term{1, 2, 900})
	f.Add(b.Build()[0], uint32(2))
	f.Fuzz(func(_ *testing.T, packed []byte, term uint32) {
		_, _ = fulltext.Find(packed, fulltext.Term(term)) // must come back
	})
}
