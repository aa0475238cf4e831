package cluster

import (
	"strconv"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

func TestPackProcesses(t *testing.T) {
	t.Parallel()
	system := actor.NewActorSystem()
	defer system.Shutdown()
	var pids []*actor.PID
	for i := range 1000 {
		pid, fresh := system.ProcessRegistry.Add(actor.NewActorProcess(nil), "before"+strconv.Itoa(i))
		if !fresh {
			t.Fatalf("%s exists", pid.Id)
		}
		pids = append(pids, pid)
	}
	packProcesses(system)
	for _, pid := range pids {
		if _, ok := system.ProcessRegistry.Get(pid); !ok {
			t.Errorf("%s is lost", pid.Id)
		}
	}
	if _, ok := system.ProcessRegistry.Get(actor.NewPID(system.Address(), "eventstream")); !ok {
		t.Error("the library's own process is lost")
	}
	system.ProcessRegistry.Remove(pids[0])
	if _, ok := system.ProcessRegistry.Get(pids[0]); ok {
		t.Error("a process that was removed is found")
	}
}
