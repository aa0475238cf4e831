package protocol

import (
	"crypto/rand"
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// ID is a UUID that knows what it names: a UserID is not a ChannelID although
// both are sixteen bytes. It crosses JSON, CBOR and Postgres as a UUID and is
// comparable, so it can be a map key without an allocation. The zero ID is
// "none" and is never generated.
type ID[T any] [16]byte

// The things that ids name.
type (
	userTag       struct{}
	communityTag  struct{}
	channelTag    struct{}
	messageTag    struct{}
	groupTag      struct{}
	roleTag       struct{}
	fileTag       struct{}
	sessionTag    struct{}
	inviteTag     struct{}
	aliasGroupTag struct{}
	friendshipTag struct{}
	connTag       struct{}
	anyTag        struct{}
)

// Typed ids of the platform. AnyID names rows that nothing refers to.
type (
	UserID       = ID[userTag]
	CommunityID  = ID[communityTag]
	ChannelID    = ID[channelTag]
	MessageID    = ID[messageTag]
	GroupID      = ID[groupTag]
	RoleID       = ID[roleTag]
	FileID       = ID[fileTag]
	SessionID    = ID[sessionTag]
	InviteID     = ID[inviteTag]
	AliasGroupID = ID[aliasGroupTag]
	FriendshipID = ID[friendshipTag]
	ConnID       = ID[connTag]
	AnyID        = ID[anyTag]
)

// ErrBadID is returned for text that is not a UUID.
var ErrBadID = errors.New("not a UUID")

// NewID returns a UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then a
// counter and random bits. Ids made by one process are strictly increasing, so
// rows that are written together lie together in an index.
func NewID[T any]() ID[T] {
	var id ID[T]
	idClock.next((*[16]byte)(&id))
	return id
}

// NewRandomID returns a UUIDv4, for ids that must not tell when they were made.
func NewRandomID[T any]() ID[T] {
	var id ID[T]
	_, _ = rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// clock hands out the time part of ids. The 12 bits after the version are a
// counter within the millisecond (RFC 9562 section 6.2, method 1).
type clock struct {
	mu   sync.Mutex
	last uint64 // milliseconds << 12 | counter
}

var idClock clock

func (c *clock) next(id *[16]byte) {
	_, _ = rand.Read(id[8:])
	c.mu.Lock()
	now := uint64(time.Now().UnixMilli()) << 12
	if now <= c.last {
		now = c.last + 1
	}
	c.last = now
	c.mu.Unlock()
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], now>>12)
	copy(id[:6], ms[2:])
	id[6] = 0x70 | byte(now>>8)&0x0f
	id[7] = byte(now)
	id[8] = id[8]&0x3f | 0x80
}

// ParseID reads the 8-4-4-4-12 form in either case; nothing else is accepted.
func ParseID[T any](s string) (ID[T], error) {
	var id ID[T]
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, ErrBadID
	}
	var digits [32]byte
	copy(digits[0:8], s[0:8])
	copy(digits[8:12], s[9:13])
	copy(digits[12:16], s[14:18])
	copy(digits[16:20], s[19:23])
	copy(digits[20:32], s[24:36])
	if _, err := hex.Decode(id[:], digits[:]); err != nil {
		return ID[T]{}, ErrBadID
	}
	return id, nil
}

// IsZero reports whether the id names nothing.
func (id ID[T]) IsZero() bool { return id == ID[T]{} }

// String gives the lower-case 8-4-4-4-12 form.
func (id ID[T]) String() string { return string(id.append(nil)) }

func (id ID[T]) append(b []byte) []byte {
	var t [36]byte
	hex.Encode(t[0:8], id[0:4])
	t[8] = '-'
	hex.Encode(t[9:13], id[4:6])
	t[13] = '-'
	hex.Encode(t[14:18], id[6:8])
	t[18] = '-'
	hex.Encode(t[19:23], id[8:10])
	t[23] = '-'
	hex.Encode(t[24:36], id[10:16])
	return append(b, t[:]...)
}

// Ptr is nil for the zero id: the form of a nullable column or JSON field.
func (id ID[T]) Ptr() *ID[T] {
	if id.IsZero() {
		return nil
	}
	return &id
}

// MarshalJSON writes the quoted text form.
func (id ID[T]) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 38)
	b = append(b, '"')
	b = id.append(b)
	return append(b, '"'), nil
}

// AppendText implements encoding.TextAppender.
func (id ID[T]) AppendText(b []byte) ([]byte, error) { return id.append(b), nil }

// MarshalText makes the id usable as a JSON object key.
func (id ID[T]) MarshalText() ([]byte, error) { return id.append(nil), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *ID[T]) UnmarshalText(b []byte) error {
	v, err := ParseID[T](string(b))
	if err != nil {
		return err
	}
	*id = v
	return nil
}

// MarshalBinary is the form inside the cluster: 16 bytes.
func (id ID[T]) MarshalBinary() ([]byte, error) { return append([]byte(nil), id[:]...), nil }

// UnmarshalBinary reads what MarshalBinary wrote.
func (id *ID[T]) UnmarshalBinary(b []byte) error {
	if len(b) != 16 {
		return ErrBadID
	}
	copy(id[:], b)
	return nil
}

// ScanUUID lets pgx read a uuid column; NULL becomes the zero id.
func (id *ID[T]) ScanUUID(v pgtype.UUID) error {
	if !v.Valid {
		*id = ID[T]{}
		return nil
	}
	*id = v.Bytes
	return nil
}

// UUIDValue lets pgx write a uuid column; the zero id becomes NULL.
func (id ID[T]) UUIDValue() (pgtype.UUID, error) {
	return pgtype.UUID{Bytes: id, Valid: !id.IsZero()}, nil
}

// Value implements driver.Valuer for database/sql.
func (id ID[T]) Value() (driver.Value, error) {
	if id.IsZero() {
		return nil, nil
	}
	return id.String(), nil
}

// Time is the moment inside a UUIDv7; the zero time for other versions.
func (id ID[T]) Time() time.Time {
	if id[6]>>4 != 7 {
		return time.Time{}
	}
	var ms [8]byte
	copy(ms[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:]))).UTC()
}

// Format shows ids readably in logs and test failures.
func (id ID[T]) Format(f fmt.State, _ rune) { _, _ = f.Write(id.append(nil)) }
