package protocol

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// Instant is a moment in whole milliseconds since 1970 UTC, the resolution of
// the contract. JSON shows it as 2006-01-02T15:04:05.000Z.
type Instant int64

const instantLayout = "2006-01-02T15:04:05.000Z"

// InstantOf cuts t to milliseconds.
func InstantOf(t time.Time) Instant { return Instant(t.UnixMilli()) }

// Time converts back, in UTC.
func (i Instant) Time() time.Time { return time.UnixMilli(int64(i)).UTC() }

// Ptr is nil for the zero instant: the form of a nullable column or JSON field.
func (i Instant) Ptr() *Instant {
	if i == 0 {
		return nil
	}
	return &i
}

// String is the JSON form without quotes.
func (i Instant) String() string { return i.Time().Format(instantLayout) }

// append writes the JSON form without quotes.
func (i Instant) append(b []byte) []byte { return i.Time().AppendFormat(b, instantLayout) }

// MarshalJSON always writes three digits of milliseconds and Z.
func (i Instant) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 26)
	b = append(b, '"')
	b = i.append(b)
	return append(b, '"'), nil
}

// UnmarshalJSON reads any RFC 3339 time.
func (i *Instant) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if len(b) < 2 || b[0] != '"' {
		return errors.New("instant: not a string")
	}
	t, err := time.Parse(time.RFC3339Nano, string(b[1:len(b)-1]))
	if err != nil {
		return err
	}
	*i = InstantOf(t)
	return nil
}

// ScanTimestamptz lets pgx read a timestamptz column; NULL becomes 0.
func (i *Instant) ScanTimestamptz(v pgtype.Timestamptz) error {
	if !v.Valid {
		*i = 0
		return nil
	}
	*i = InstantOf(v.Time)
	return nil
}

// TimestamptzValue lets pgx write a timestamptz column; 0 becomes NULL.
func (i Instant) TimestamptzValue() (pgtype.Timestamptz, error) {
	return pgtype.Timestamptz{Time: i.Time(), Valid: i != 0}, nil
}
