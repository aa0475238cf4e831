//go:build linux

package main

import "math/bits"

// histogram counts durations in nanoseconds in buckets that are at most an
// eighth wide.
type histogram struct {
	counts [64 * 8]int
	total  int
}

func (h *histogram) add(ns int64) {
	h.counts[bucket(uint64(max(ns, 0)))]++
	h.total++
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
}

func bucket(v uint64) int {
	if v < 8 {
		return int(v)
	}
	exp := bits.Len64(v) - 4
	return exp*8 + int(v>>exp)
}

// upper is the largest value of a bucket.
func upper(b int) uint64 {
	if b < 16 {
		return uint64(b)
	}
	exp := b/8 - 1
	return uint64(b%8+9)<<exp - 1
}

// quantile is in milliseconds; 0 without values.
func (h *histogram) quantile(q float64) float64 {
	rank := max(1, int(q*float64(h.total)))
	for b, n := range h.counts {
		if rank -= n; rank <= 0 && n > 0 {
			return float64(upper(b)) / 1e6
		}
	}
	return 0
}
