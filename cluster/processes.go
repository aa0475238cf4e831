package cluster

import (
	"github.com/asynkron/protoactor-go/actor"
	cmap "github.com/orcaman/concurrent-map"
)

// processBuckets is how many buckets the list of a node's processes has, of 32
// maps each. The library makes 1,024: then ten thousand actors lie in maps of
// their own, which take more memory than most mailboxes. The list is read when a
// PID is used for the first time, and its locks are not in anybody's way.
const processBuckets = 16

// packProcesses gives a system that nobody uses yet a smaller list of processes.
func packProcesses(system *actor.ActorSystem) {
	packed := &actor.SliceMap{LocalPIDs: make([]cmap.ConcurrentMap, processBuckets)}
	for i := range packed.LocalPIDs {
		packed.LocalPIDs[i] = cmap.New()
	}
	for _, old := range system.ProcessRegistry.LocalPIDs.LocalPIDs {
		old.IterCb(func(id string, process any) { packed.GetBucket(id).Set(id, process) })
	}
	system.ProcessRegistry.LocalPIDs = packed
}
