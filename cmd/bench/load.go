//go:build linux

package main

import (
	"bytes"
	"flag"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// load is what a sender puts on its subscribers.
type load struct {
	Conns   int
	Rate    float64 // events a second, each to every subscriber
	Size    int     // bytes of a message
	Seconds float64
	Tick    time.Duration
}

func (l *load) flags(fs *flag.FlagSet) {
	fs.IntVar(&l.Conns, "conns", 1000, "subscribers")
	fs.Float64Var(&l.Rate, "rate", 10, "events per second, each to every subscriber")
	fs.IntVar(&l.Size, "size", 400, "bytes of the message in an event")
	fs.Float64Var(&l.Seconds, "seconds", 10, "duration")
	fs.DurationVar(&l.Tick, "tick", 0, "join what comes within a tick into one write (0: one write per frame)")
}

func (l *load) args() []string {
	return []string{
		"--conns", strconv.Itoa(l.Conns), "--rate", strconv.FormatFloat(l.Rate, 'f', -1, 64), "--size", strconv.Itoa(l.Size),
		"--seconds", strconv.FormatFloat(l.Seconds, 'f', -1, 64), "--tick", l.Tick.String(),
	}
}

// events is the number of events of the whole run.
func (l *load) events() int { return int(l.Rate * l.Seconds) }

// due is when event i is to be sent, after the start.
func (l *load) due(i int) time.Duration {
	return time.Duration(float64(i) / l.Rate * float64(time.Second))
}

// monotonic is a clock that all processes of the machine share, in nanoseconds.
func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// cpuSeconds is the processor time of this process, user and system.
func cpuSeconds() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// A marker stands in the text of a message, so that a subscriber finds number
// and time of sending in whatever the server makes of it: ~number:time~
const markEdge = '~'

// message is a text of size bytes with a marker in it. Sent is when it was due,
// so that a sender that falls behind shows as latency.
func message(n, size int, sent int64) []byte {
	b := append(make([]byte, 0, size+48), markEdge)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, ':')
	b = strconv.AppendInt(b, sent, 10)
	b = append(b, markEdge)
	for len(b) < size {
		b = append(b, 'x')
	}
	return b
}

// marker finds number and time in an event.
func marker(b []byte) (n int, sent int64, ok bool) {
	_, b, ok = bytes.Cut(b, []byte{markEdge})
	if !ok {
		return 0, 0, false
	}
	b, _, ok = bytes.Cut(b[:min(len(b), 48)], []byte{markEdge})
	if !ok {
		return 0, 0, false
	}
	first, second, ok := bytes.Cut(b, []byte{':'})
	if !ok {
		return 0, 0, false
	}
	n, err1 := strconv.Atoi(string(first))
	sent, err2 := strconv.ParseInt(string(second), 10, 64)
	return n, sent, err1 == nil && err2 == nil
}

// payload is the argument of an event, shaped like a chat message.
func payload(n, size int, sent int64) []byte {
	b := append(make([]byte, 0, size+96), `{"message":{"id":"`...)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, `","spans":[{"type":"PLAINTEXT","text":"`...)
	b = append(b, message(n, size, sent)...)
	return append(b, `"}]}}`...)
}

// report is what a sender says when it is done.
type report struct {
	Event      string  `json:"event"` // "sent"
	Events     int     `json:"events"`
	Deliveries int     `json:"deliveries"`
	Writes     uint64  `json:"writes"`
	Seconds    float64 `json:"seconds"`
	CPU        float64 `json:"cpuSeconds"`
	PerMillion float64 `json:"cpuSecondsPerMillion"`
	Late       float64 `json:"lateSeconds"` // how far behind its schedule it was at the end
}

func (r *report) finish() {
	if r.Deliveries > 0 {
		r.PerMillion = r.CPU / float64(r.Deliveries) * 1e6
	}
}

// listening and ready are the lines before that.
type listening struct {
	Event string `json:"event"`
	Addr  string `json:"addr"`
	PID   int    `json:"pid"`
}

type note struct {
	Event string `json:"event"`
}
