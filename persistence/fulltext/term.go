package fulltext

// Term is the hash of something that a text has.
type Term uint32

// What stands at places of a term where there is no character.
const (
	edge   rune = 0        // of a word
	single rune = 0x110000 // a dense character
	pair   rune = 0x110001 // two dense characters
)

// gram is the term of three places.
func gram(a, b, c rune) Term {
	x := uint64(a)<<42 | uint64(b)<<21 | uint64(c)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9 // splitmix64
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return Term(x ^ x>>31)
}

// Tag is a term for what is not in the text itself, such as who wrote it.
func Tag(name string) Term {
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return gram(rune(h>>43), rune(h>>22&0x1fffff), 0x1fffff)
}

// AppendTerms appends the terms of a folded text, some of them more than once.
func AppendTerms(list []Term, folded string) []Term {
	runs(folded, func(run string, k kind) {
		if k == dense {
			last := rune(-1)
			for _, r := range run {
				list = append(list, gram(r, single, single))
				if last >= 0 {
					list = append(list, gram(last, r, pair))
				}
				last = r
			}
			return
		}
		a, b := edge, edge
		for _, r := range run {
			list = append(list, gram(a, b, r))
			a, b = b, r
		}
		list = append(list, gram(a, b, edge))
	})
	return list
}
