//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clockTicks are the units of /proc per second (USER_HZ, 100 on all of Linux).
const clockTicks = 100

// cpuOf is the processor time of a living process, user and system, from its
// CPU-time clock (clock_getcpuclockid), which is finer than /proc.
func cpuOf(pid int) (float64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		return 0, fmt.Errorf("read cpu clock of %d: %w", pid, err)
	}
	return float64(ts.Nano()) / 1e9, nil
}

// procStat is what is needed of /proc/PID/stat.
type procStat struct {
	pid, parent int
	own, waited float64 // cpu seconds, of the process and of its children that ended
}

// processes lists all processes of the machine.
func processes() map[int]procStat {
	all := map[int]procStat{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it ended
		}
		pid, err1 := strconv.Atoi(f[len("/proc/") : len(f)-len("/stat")])
		at := bytes.LastIndexByte(b, ')') // the name before it may contain anything
		if err1 != nil || at < 0 {
			continue
		}
		fields := strings.Fields(string(b[at+1:]))
		if len(fields) < 15 {
			continue
		}
		number := func(i int) float64 { n, _ := strconv.ParseFloat(fields[i], 64); return n }
		all[pid] = procStat{pid, int(number(1)), (number(11) + number(12)) / clockTicks, (number(13) + number(14)) / clockTicks}
	}
	return all
}

// treeCPU is the processor time of a process and everything below it, dead
// children included.
func treeCPU(root int) float64 {
	all := processes()
	children := map[int][]int{}
	for pid, p := range all {
		children[p.parent] = append(children[p.parent], pid)
	}
	sum := 0.0
	for todo := []int{root}; len(todo) > 0; {
		pid := todo[len(todo)-1]
		todo = append(todo[:len(todo)-1], children[pid]...)
		sum += all[pid].own + all[pid].waited
	}
	return sum
}

// rss is the resident memory of a process in bytes.
func rss(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory of %d: %w", pid, err)
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, fmt.Errorf("read memory of %d: %q", pid, b)
	}
	pages, err := strconv.Atoi(fields[1])
	return pages * os.Getpagesize(), err
}

// machineCPU is what all processors of the machine have worked, in seconds;
// time stolen by the host counts as work of others.
func machineCPU() float64 {
	b, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(b), "\n")
	sum := 0.0
	for i, f := range strings.Fields(line) {
		switch i { // cpu user nice system idle iowait irq softirq steal guest
		case 1, 2, 3, 6, 7, 8:
			n, _ := strconv.ParseFloat(f, 64)
			sum += n / clockTicks
		}
	}
	return sum
}

// disturbance finds out how much others worked on the machine while something
// was measured.
type disturbance struct {
	at           time.Time
	machine, own float64
}

func watch() disturbance {
	return disturbance{time.Now(), machineCPU(), treeCPU(os.Getpid())}
}

// cores is the number of processors that others have used since.
func (d disturbance) cores() float64 {
	now := watch()
	return max(0, (now.machine-d.machine)-(now.own-d.own)) / now.at.Sub(d.at).Seconds()
}
