package rules

import (
	"fmt"
	"time"

	"github.com/rookery-chat/rookery/protocol"
)

// ExemptFromSlowmode reports whether slow mode does not bind: those who keep the
// channel in order must be able to speak in it.
func ExemptFromSlowmode(owner bool, actions protocol.ActionSet) bool {
	return owner || actions.Has(protocol.ActionDeleteAnyMessage) || actions.Has(protocol.ActionUpdateChannel)
}

// SlowmodeRemaining is how long an author has to wait who last sent at last; 0
// when he may send. last 0 means never. seconds is the channel's setting.
func SlowmodeRemaining(seconds int, last, now protocol.Instant) time.Duration {
	if seconds <= 0 || last == 0 {
		return 0
	}
	return remaining(last+protocol.Instant(seconds)*1000, now)
}

// TimeoutRemaining is how long a moderation timeout still holds; 0 when it is
// over or there is none (until 0).
func TimeoutRemaining(until, now protocol.Instant) time.Duration {
	if until == 0 {
		return 0
	}
	return remaining(until, now)
}

func remaining(until, now protocol.Instant) time.Duration {
	return max(0, time.Duration(until-now)*time.Millisecond)
}

// Slowmode is the refusal while slow mode binds the author.
func Slowmode(wait time.Duration) *protocol.Error {
	return &protocol.Error{
		Code:       protocol.CodeSlowMode,
		Message:    fmt.Sprintf("Slowmode is enabled. Please wait %d seconds before sending another message.", wholeSeconds(wait)),
		RetryAfter: wait,
	}
}

// TimedOut is the refusal while a timeout holds.
func TimedOut(wait time.Duration) *protocol.Error {
	return &protocol.Error{
		Code:       protocol.CodeTimedOut,
		Message:    fmt.Sprintf("You are timed out in this community. Time remaining: %d seconds", wholeSeconds(wait)),
		RetryAfter: wait,
	}
}

// wholeSeconds rounds up: nobody is told to wait 0 seconds.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
