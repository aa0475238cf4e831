package main

import "testing"

func TestGovernor(t *testing.T) {
	t.Parallel()
	var g governor
	n, sockets := uint64(0), 0
	step := func(collections uint64, want decision) {
		t.Helper()
		n += collections
		if got := g.observe(n, sockets); got != want {
			t.Fatalf("after %d collections: %d, want %d", collections, got, want)
		}
	}
	step(0, stay)
	step(1, stay)
	for range 3 * busyPeriods { // a storm of connects
		sockets += stormGrowth
		step(9, stay)
	}
	for range busyPeriods - 1 {
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
