package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Bounds of the garbage governor.
const (
	frugalPercent = 25  // while little is allocated: memory for tens of thousands of idle sockets
	busyPercent   = 200 // while much is allocated: processor time
	governEvery   = time.Second
	busyCycles    = 3  // collections in one period that make it a busy one
	busyPeriods   = 5  // in a row, before processor time is saved
	stormGrowth   = 20 // more sockets in a period than before it: a storm of connects, not load
	quietPeriods  = 10 // without a busy one, after which memory is saved again
)

// governGarbage trades memory for processor time as the load asks for. Most of
// the heap of a chat server is connections that do nothing; with Go's default
// the collector lets as much garbage lie beside them. A low percentage halves
// that and costs nothing while nothing is allocated, but would let the collector
// run all the time under load. A storm of connects, however long, finds the low
// one: what stays of each connection then lies close together, not between the
// garbage of its login. An operator's GOGC is left alone. Sockets tells how many
// are open.
func governGarbage(ctx context.Context, sockets func() int) {
	debug.SetGCPercent(frugalPercent)
	defer debug.SetGCPercent(100)
	tick := time.NewTicker(governEvery)
	defer tick.Stop()
	cycles := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	var g governor
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			metrics.Read(cycles)
			switch g.observe(cycles[0].Value.Uint64(), sockets()) {
			case toBusy:
				debug.SetGCPercent(busyPercent)
			case toFrugal:
				debug.SetGCPercent(frugalPercent)
				debug.FreeOSMemory() // once: what the load left is given back
			case stay:
			}
		}
	}
}

// governor decides from the number of collections and of sockets.
type governor struct {
	last  uint64
	open  int // sockets
	busy  bool
	run   int // busy periods in a row
	quiet int // periods since the last busy one
}

type decision uint8

const (
	stay decision = iota
	toBusy
	toFrugal
)

func (g *governor) observe(collections uint64, sockets int) decision {
	// With the high percentage the same load collects less often.
	limit := uint64(busyCycles)
	if g.busy {
		limit = 1
	}
	active := collections-g.last >= limit
	storm := !g.busy && sockets-g.open >= stormGrowth
	g.last, g.open = collections, sockets
	if active && !storm {
		g.run++
		g.quiet = 0
	} else {
		g.run = 0
	}
	switch {
	case !g.busy && g.run >= busyPeriods:
		g.busy = true
		return toBusy
	case g.busy && !active:
		if g.quiet++; g.quiet >= quietPeriods {
			g.busy = false
			g.last++ // the collection that giving back forces
			return toFrugal
		}
	}
	return stay
}
