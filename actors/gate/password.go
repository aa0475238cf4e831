package gate

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/rookery-chat/rookery/protocol"
)

// Parameters of argon2id (OWASP Password Storage Cheat Sheet: 19 MiB, two
// passes, one lane).
const (
	argonMemory  = 19456 // KiB
	argonTime    = 2
	argonThreads = 1
	argonSalt    = 16
	argonKey     = 32
)

// maxPassword bounds what is hashed, in bytes: longer ones can't have been set.
const maxPassword = 1024

// bcryptBytes is how much of a password bcrypt has ever looked at.
const bcryptBytes = 72

// waiting bounds, per slot, how many may wait for it: some 20 ms each.
const waiting = 50

var errBusy = protocol.Unavailable("Too many logins at the moment, please retry")

// Passwords hashes and checks passwords, a few at a time.
type Passwords struct {
	slots chan struct{}
	queue chan struct{}
	dummy string // what unknown users are checked against
}

// NewPasswords works on at most n passwords at the same time.
func NewPasswords(n int) *Passwords {
	p := &Passwords{slots: make(chan struct{}, n), queue: make(chan struct{}, n*(waiting+1))}
	p.dummy = hash([]byte("nobody has this password"))
	return p
}

// Hash makes an argon2id hash in the PHC string format.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if len(password) > maxPassword {
		return "", errors.New("password is too long")
	}
	done, err := p.slot(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	return hash([]byte(password)), nil
}

// Verify reports whether the password belongs to the hash; renew, whether the
// hash should be made anew because it is of an older kind. An empty hash takes
// the same time and never fits: it stands for an unknown user.
func (p *Passwords) Verify(ctx context.Context, encoded, password string) (ok, renew bool, err error) {
	done, err := p.slot(ctx)
	if err != nil {
		return false, false, err
	}
	defer done()
	known := encoded != ""
	if !known {
		encoded = p.dummy
	}
	long := len(password) > maxPassword
	if long {
		password = password[:maxPassword]
	}
	if strings.HasPrefix(encoded, "$2") {
		plain := []byte(password)
		ok := bcrypt.CompareHashAndPassword([]byte(encoded), plain[:min(len(plain), bcryptBytes)]) == nil
		return ok && !long, ok && !long, nil
	}
	ok, renew, err = verify(encoded, []byte(password))
	if err != nil {
		return false, false, err
	}
	return ok && known && !long, ok && renew, nil
}

// slot waits for one of the slots; with too many waiting it refuses at once.
func (p *Passwords) slot(ctx context.Context) (done func(), err error) {
	select {
	case p.queue <- struct{}{}:
	default:
		return nil, errBusy
	}
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots; <-p.queue }, nil
	case <-ctx.Done():
		<-p.queue
		return nil, ctx.Err()
	}
}

var phc = base64.RawStdEncoding

func hash(password []byte) string {
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt)
	key := argon2.IDKey(password, salt, argonTime, argonMemory, argonThreads, argonKey)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		phc.EncodeToString(salt), phc.EncodeToString(key))
}

// verify checks against a PHC string with whatever parameters it names.
func verify(encoded string, password []byte) (ok, renew bool, err error) {
	parts := strings.Split(encoded, "$")
	var version, memory, time, threads int
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, false, errors.New("password hash is of an unknown kind")
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false, false, errors.New("password hash has an unknown version")
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads); err != nil {
		return false, false, errors.New("password hash has no parameters")
	}
	if memory < 8 || memory > 1<<20 || time < 1 || time > 100 || threads < 1 || threads > 64 {
		return false, false, errors.New("password hash has impossible parameters")
	}
	salt, err := phc.DecodeString(parts[4])
	if err != nil {
		return false, false, fmt.Errorf("read salt of password hash: %w", err)
	}
	want, err := phc.DecodeString(parts[5])
	if err != nil || len(want) == 0 {
		return false, false, errors.New("password hash has no key")
	}
	got := argon2.IDKey(password, salt, uint32(time), uint32(memory), uint8(threads), uint32(len(want)))
	renew = memory != argonMemory || time != argonTime || threads != argonThreads
	return subtle.ConstantTimeCompare(got, want) == 1, renew, nil
}
