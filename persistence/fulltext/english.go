package fulltext

import "strings"

// What the contract's search, which is English, does with words: forms of one word are the same,
// and words that every text has are not looked for. It is done only where it makes more be found.

// common are the words that a query is as good without, when it has others.
var common = func() map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(`
		i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its
		itself they them their theirs themselves what which who whom this that these those am is are was were be been being have
		has had having do does did doing a an the and but if or because as until while of at by for with about against between
		into through during before after above below to from up down in out on off over under again further then once here there
		when where why how all any both each few more most other some such no nor not only own same so than too very s t can will
		just don should now`) {
		set[w] = true
	}
	return set
}()

// Endings of words, the longest first, and how much must be left.
var endings = []string{"ings", "ing", "edly", "ed", "es", "s", "ly", "e"}

const minStem = 4

// stem is how other forms of an English word begin; empty when it is too short or no such word.
func stem(word string) string {
	if !ascii(word) || strings.ContainsAny(word, "0123456789_") || strings.HasSuffix(word, "ss") {
		return ""
	}
	for _, end := range endings {
		rest, ends := strings.CutSuffix(word, end)
		if !ends || len(rest) < minStem {
			continue
		}
		n := len(rest)
		if n > minStem && rest[n-1] == rest[n-2] && end != "s" && end != "e" { // planned, but not misses
			rest = rest[:n-1]
		}
		return rest
	}
	return ""
}
