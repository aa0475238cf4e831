package main

import (
	"math"
	"os"
	"runtime"

	"github.com/rookery-chat/rookery/protocol"
)

// machine is how this machine is doing. What the platform does not tell is zero.
func machine() protocol.Machine {
	m := protocol.Machine{CPUCores: runtime.NumCPU(), Platform: runtime.GOOS}
	m.Hostname, _ = os.Hostname()
	readMachine(&m)
	m.MemoryUsedPercent = percent(m.MemoryUsedBytes, m.MemoryTotalBytes)
	m.DiskUsedPercent = percent(m.DiskUsedBytes, m.DiskTotalBytes)
	return m
}

// percent has two decimals; of nothing it is 0.
func percent(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return math.Round(float64(part)/float64(whole)*10000) / 100
}
