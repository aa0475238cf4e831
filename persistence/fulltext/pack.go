package fulltext

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
)

// MaxTexts is how many texts are packed together.
const MaxTexts = 4096

const (
	// shardBytes is how large a shard is meant to be: a row of Postgres that needs no other place.
	shardBytes = 1800
	maxShards  = 1024
	bitmapSize = MaxTexts / 8
)

var errPack = errors.New("terms are not readable")

// Builder collects the terms of texts, which have numbers below MaxTexts.
type Builder struct {
	pairs []uint64 // term, number
}

// Add notes terms of a text.
func (b *Builder) Add(text int, terms []Term) {
	for _, t := range terms {
		b.pairs = append(b.pairs, uint64(t)<<16|uint64(text))
	}
}

// Reset forgets everything but its memory.
func (b *Builder) Reset() { b.pairs = b.pairs[:0] }

// Build packs what was added into shards; their number is a power of two. A term is in the shard
// of its lowest bits.
//
//	shard  = count, count * (term - the one before, size << 1 | bitmap), count * texts
//	texts  = size bytes: numbers, each as the distance to the one before, or one bit for each
//
// All numbers are those of encoding/binary.AppendUvarint; bit n is bit n%8 of byte n/8.
func (b *Builder) Build() [][]byte {
	slices.Sort(b.pairs)
	b.pairs = slices.Compact(b.pairs)
	shards := make([]shard, shardsFor(len(b.pairs)))
	for from := 0; from < len(b.pairs); {
		term := b.pairs[from] >> 16
		to := from + 1
		for to < len(b.pairs) && b.pairs[to]>>16 == term {
			to++
		}
		shards[int(term)&(len(shards)-1)].add(term, b.pairs[from:to])
		from = to
	}
	packed := make([][]byte, len(shards))
	for i := range shards {
		s := &shards[i]
		packed[i] = binary.AppendUvarint(make([]byte, 0, len(s.head)+len(s.body)+2), uint64(s.count))
		packed[i] = append(append(packed[i], s.head...), s.body...)
	}
	return packed
}

// shardsFor guesses: most texts of a term are near to each other.
func shardsFor(pairs int) int {
	n := 1
	for n < maxShards && pairs/n > shardBytes*4/5 {
		n *= 2
	}
	return n
}

type shard struct {
	count      int
	last       uint64
	head, body []byte
}

func (s *shard) add(term uint64, pairs []uint64) {
	start := len(s.body)
	last, kind := uint64(0), uint64(0)
	for _, p := range pairs {
		s.body = binary.AppendUvarint(s.body, p&0xffff-last)
		last = p & 0xffff
	}
	if len(s.body)-start > bitmapSize {
		kind = 1
		s.body = append(s.body[:start], make([]byte, bitmapSize)...)
		for _, p := range pairs {
			s.body[start+int(p&0xffff)/8] |= 1 << (p & 7)
		}
	}
	s.head = binary.AppendUvarint(s.head, term-s.last)
	s.head = binary.AppendUvarint(s.head, uint64(len(s.body)-start)<<1|kind)
	s.last, s.count = term, s.count+1
}

// ShardOf is where a term is.
func ShardOf(t Term, shards int) int { return int(t) & (shards - 1) }

// Set is a set of texts by their numbers.
type Set [MaxTexts / 64]uint64

// Fill puts every text into the set.
func (s *Set) Fill() {
	for i := range s {
		s[i] = ^uint64(0)
	}
}

// And keeps what is in both.
func (s *Set) And(o *Set) {
	for i := range s {
		s[i] &= o[i]
	}
}

// AndNot takes out what is in the other.
func (s *Set) AndNot(o *Set) {
	for i := range s {
		s[i] &^= o[i]
	}
}

// Empty reports whether there is nothing in the set.
func (s *Set) Empty() bool { return *s == Set{} }

// Pop takes out the text with the highest number; -1 when there is none.
func (s *Set) Pop() int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] != 0 {
			bit := 63 - bits.LeadingZeros64(s[i])
			s[i] &^= 1 << bit
			return 64*i + bit
		}
	}
	return -1
}

// Find reads which texts have a term from its shard.
func Find(packed []byte, t Term) (found Set, err error) {
	count, n := binary.Uvarint(packed)
	if n <= 0 || count > uint64(len(packed)) {
		return found, errPack
	}
	rest := packed[n:]
	at, place, size, kind, hit := uint64(0), uint64(0), uint64(0), uint64(0), false
	for range count {
		step, n := binary.Uvarint(rest)
		if n <= 0 {
			return found, errPack
		}
		length, m := binary.Uvarint(rest[n:])
		if m <= 0 {
			return found, errPack
		}
		rest = rest[n+m:]
		at += step
		switch {
		case at == uint64(t):
			size, kind, hit = length>>1, length&1, true
		case at < uint64(t):
			place += length >> 1
		}
	}
	if !hit {
		return found, nil
	}
	if place > uint64(len(rest)) || size > uint64(len(rest))-place {
		return found, errPack
	}
	return found, found.read(rest[place:place+size], kind == 1)
}

func (s *Set) read(b []byte, bitmap bool) error {
	if bitmap {
		if len(b) != bitmapSize {
			return errPack
		}
		for i := range s {
			s[i] = binary.LittleEndian.Uint64(b[8*i:])
		}
		return nil
	}
	at := uint64(0)
	for len(b) > 0 {
		step, n := binary.Uvarint(b)
		if n <= 0 {
			return errPack
		}
		if at += step; at >= MaxTexts {
			return errPack
		}
		s[at/64] |= 1 << (at % 64)
		b = b[n:]
	}
	return nil
}
