//go:build !race

package connection_test

const raceEnabled = false
