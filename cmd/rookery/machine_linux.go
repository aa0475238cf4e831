package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/rookery-chat/rookery/protocol"
)

// readMachine reads what the kernel tells (proc(5)) and the size of the root
// file system.
func readMachine(m *protocol.Machine) {
	memory := values("/proc/meminfo")
	m.MemoryTotalBytes, m.MemoryFreeBytes = kilobytes(memory["MemTotal"]), kilobytes(memory["MemAvailable"])
	m.MemoryUsedBytes = m.MemoryTotalBytes - min(m.MemoryFreeBytes, m.MemoryTotalBytes)
	m.CPUModel = values("/proc/cpuinfo")["model name"]
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(text), &m.LoadAverage[0], &m.LoadAverage[1], &m.LoadAverage[2])
	}
	if text, err := os.ReadFile("/proc/uptime"); err == nil {
		_, _ = fmt.Sscan(string(text), &m.Uptime)
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs("/", &fs); err == nil {
		size := uint64(fs.Bsize)
		m.DiskTotalBytes, m.DiskFreeBytes = fs.Blocks*size, fs.Bavail*size
		m.DiskUsedBytes = (fs.Blocks - fs.Bfree) * size
	}
}

// values reads lines like "name : value"; of repeated names the first counts.
func values(path string) map[string]string {
	list := map[string]string{}
	text, err := os.ReadFile(path)
	if err != nil {
		return list
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), ":")
		if name = strings.TrimSpace(name); ok && list[name] == "" {
			list[name] = strings.TrimSpace(value)
		}
	}
	return list
}

func kilobytes(text string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimSuffix(text, " kB"), 10, 64) // what is no number is not known
	return n << 10
}
