//go:build race

package connection_test

// raceEnabled: the libraries race with themselves when one process runs several
// nodes (each start of remoting replaces gRPC's global logger).
const raceEnabled = true
