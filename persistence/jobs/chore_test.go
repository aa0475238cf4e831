package jobs

import (
	"testing"
	"time"
)

func TestDue(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04:05", s, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tt := range []struct{ schedule, now, last, next string }{
		{"0 6 * * *", "2026-11-24 05:59:59", "2026-11-23 06:00:00", "2026-11-24 06:00:00"},
		{"0 6 * * *", "2026-11-24 06:00:00", "2026-11-24 06:00:00", "2026-11-25 06:00:00"},
		{"0 6 * * *", "2026-11-24 23:00:00", "2026-11-24 06:00:00", "2026-11-25 06:00:00"},
		{"* * * * *", "2026-11-24 23:00:30", "2026-11-24 23:00:00", "2026-11-24 23:01:00"},
		{"10 * * * *", "2026-11-24 23:09:30", "2026-11-24 22:10:00", "2026-11-24 23:10:00"},
		{"0 0 1 1 *", "2026-11-24 00:00:00", "2026-01-01 00:00:00", "2027-01-01 00:00:00"},
		// The clock goes back an hour, and 03:00 stays 03:00 of the people there.
		{"0 3 * * *", "2026-10-25 12:00:00", "2026-10-25 03:00:00", "2026-10-26 03:00:00"},
	} {
		d, err := parseSchedule(Chore{Schedule: tt.schedule})
		if err != nil {
			t.Fatal(err)
		}
		if got := d.last(at(tt.now)); !got.Equal(at(tt.last)) {
			t.Errorf("%s at %s: last %v, want %s", tt.schedule, tt.now, got, tt.last)
		}
		if got := d.Next(at(tt.now)); !got.Equal(at(tt.next)) {
			t.Errorf("%s at %s: next %v, want %s", tt.schedule, tt.now, got, tt.next)
		}
	}
	if _, err := parseSchedule(Chore{Schedule: "at dawn"}); err == nil {
		t.Error("a schedule that is none was understood")
	}
}

// What is done must be remembered until the chore is due again.
func TestChoresAreFrequent(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, c := range Chores(nil) {
		if names[c.Name] {
			t.Errorf("%s twice", c.Name)
		}
		names[c.Name] = true
		d, err := parseSchedule(c)
		if err != nil {
			t.Fatal(err)
		}
		if now := time.Now(); d.Next(now).Sub(d.last(now)) > remembered/2 {
			t.Errorf("%s runs too rarely", c.Name)
		}
	}
}
