package main

import "testing"

func TestGovernor(t *testing.T) {
	t.Parallel()
	var g governor
	n := uint64(0)
	step := func(collections uint64, want decision) {
		t.Helper()
		n += collections
		if got := g.observe(n); got != want {
			t.Fatalf("after %d collections: %d, want %d", collections, got, want)
		}
	}
	step(0, stay)
	step(1, stay)
	for range busyPeriods - 1 { // a storm of connects
		step(9, stay)
	}
	step(0, stay)
	for range busyPeriods - 1 {
		step(3, stay)
	}
	step(3, toBusy)
	step(1, stay)
	for range quietPeriods - 1 {
		step(0, stay)
	}
	step(1, stay) // busy again: the count begins anew
	for range quietPeriods - 1 {
		step(0, stay)
	}
	step(0, toFrugal)
	step(1, stay) // the forced one does not count
	step(5, stay)
}
