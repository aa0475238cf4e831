package fulltext

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a query: more words are as good as these, and more terms find nothing that so many
// do not.
const (
	maxWords = 16
	maxTerms = 24
)

// Match is how well a text answers a query.
type Match uint8

// The ways to match, the best last.
const (
	None  Match = iota
	Part        // some words are only parts of what is there
	Whole       // all words are there as they are
)

// Query is what somebody looks for. The zero query matches nothing.
type Query struct {
	words []word
}

type word struct {
	text string
	kind kind
	long bool   // enough letters to be looked for within words
	stem string // how a word begins that is another form of it, where that may be told; else empty
}

// Parse reads a query.
func Parse(text string) Query {
	var q Query
	runs(Fold(text), func(run string, k kind) {
		w := word{text: run, kind: k, long: k == dense || utf8.RuneCountInString(run) > 2, stem: stem(run)}
		if len(q.words) < maxWords && !slices.Contains(q.words, w) {
			q.words = append(q.words, w)
		}
	})
	if telling := slices.DeleteFunc(slices.Clone(q.words), func(w word) bool { return common[w.text] }); len(telling) > 0 {
		q.words = telling
	}
	return q
}

// Empty reports whether there is nothing to look for.
func (q Query) Empty() bool { return len(q.words) == 0 }

// Terms are those that every text has which matches, and those that it has besides when it
// matches as a whole.
func (q Query) Terms() (part, whole []Term) {
	share := max(2, maxTerms/max(1, len(q.words)))
	for _, w := range q.words {
		p, e := w.terms()
		part = append(part, spread(p, share)...)
		whole = append(whole, e...)
	}
	return unique(part), unique(whole)
}

// terms are those of a word, and those of its edges.
func (w word) terms() (inner, edges []Term) {
	r := []rune(w.text)
	n := len(r)
	switch {
	case w.kind == dense && n == 1:
		return []Term{gram(r[0], single, single)}, nil
	case w.kind == dense:
		for i := range n - 1 {
			inner = append(inner, gram(r[i], r[i+1], pair))
		}
		return inner, nil
	case n == 1:
		return []Term{gram(edge, edge, r[0])}, []Term{gram(edge, r[0], edge)}
	case n == 2:
		return []Term{gram(edge, r[0], r[1])}, []Term{gram(r[0], r[1], edge)}
	}
	for i := range n - 2 {
		inner = append(inner, gram(r[i], r[i+1], r[i+2]))
	}
	edges = []Term{gram(edge, r[0], r[1]), gram(r[n-2], r[n-1], edge)}
	if w.stem != "" { // of one byte for each letter
		edges = append(edges, inner[len(w.stem)-2:]...)
		inner = inner[:len(w.stem)-2]
	}
	return inner, edges
}

// spread keeps n of a list, from all over it.
func spread(list []Term, n int) []Term {
	if len(list) <= n {
		return list
	}
	kept := make([]Term, n)
	for i := range kept {
		kept[i] = list[i*(len(list)-1)/(n-1)]
	}
	return kept
}

func unique(list []Term) []Term {
	slices.Sort(list)
	return slices.Compact(list)
}

// Match judges a folded text.
func (q Query) Match(folded string) Match {
	if q.Empty() {
		return None
	}
	best := Whole
	for _, w := range q.words {
		if best = min(best, w.match(folded)); best == None {
			return None
		}
	}
	return best
}

func (w word) match(text string) Match {
	best := w.find(text)
	if best == None && w.stem != "" && (word{text: w.stem, kind: letter}).find(text) != None {
		return Part
	}
	return best
}

func (w word) find(text string) Match {
	best := None
	for from := 0; ; {
		i := strings.Index(text[from:], w.text)
		if i < 0 {
			return best
		}
		if w.kind == dense {
			return Whole
		}
		begin := from + i
		end := begin + len(w.text)
		before, _ := utf8.DecodeLastRuneInString(text[:begin])
		after, size := utf8.DecodeRuneInString(text[end:])
		first := begin == 0 || kindOf(before) != letter
		switch {
		case first && (size == 0 || kindOf(after) != letter):
			return Whole
		case first || w.long:
			best = Part
		}
		_, step := utf8.DecodeRuneInString(text[begin:])
		from = begin + step
	}
}
