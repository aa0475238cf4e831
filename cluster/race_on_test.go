//go:build race

package cluster

// RaceEnabled tells tests that the race detector is on. The libraries race with
// themselves when one process runs several nodes: each start of remoting replaces
// gRPC's global logger. The tests with processes run one node in each.
const RaceEnabled = true
