package dispatch

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/rookery-chat/rookery/protocol"
)

// Hasher works on passwords. *gate.Passwords is one.
type Hasher interface {
	Hash(ctx context.Context, password string) (string, error)
	// Verify checks a password; an empty hash never fits and takes as long.
	Verify(ctx context.Context, hash, password string) (ok, renew bool, err error)
}

var (
	errWrongPassword = protocol.Forbidden("Current password is incorrect")
	errBadReset      = protocol.BadRequest("Invalid or expired reset link")
)

// maxPassword bounds what is hashed, in bytes; the contract has no maximum for
// the password of the first owner.
const maxPassword = 1024

// hashPassword replaces a password by its hash: actors never hash. It leaves no
// password in the command, valid or not.
func (d *Dispatcher) hashPassword(ctx context.Context, msg any) error {
	switch cmd := msg.(type) {
	case *protocol.Command[protocol.RegisterUser]:
		return d.hashInto(ctx, &cmd.Req.Password, &cmd.Req.Hash, "password", &cmd.Invalid)
	case *protocol.Command[protocol.ChangePassword]:
		return d.preparePassword(ctx, cmd)
	case *protocol.Command[protocol.DeleteAccount]:
		_, err := d.prove(ctx, cmd.Caller, &cmd.Req.CurrentPassword, &cmd.Invalid)
		return err
	case *protocol.Command[protocol.ResetPassword]:
		return d.prepareReset(ctx, cmd)
	case *protocol.Command[protocol.SetupInstance]:
		return d.hashInto(ctx, &cmd.Req.AdminPassword, &cmd.Req.Hash, "adminPassword", &cmd.Invalid)
	}
	return nil
}

func (d *Dispatcher) hashInto(ctx context.Context, password, hash *string, field string, invalid **protocol.Error) (err error) {
	plain := *password
	*password = ""
	if *invalid == nil && len(plain) > maxPassword {
		*invalid = protocol.Invalid([]protocol.FieldError{{Field: field, Rule: "maxLength",
			Message: fmt.Sprintf("%s must be shorter than or equal to %d characters", field, maxPassword)}})
	}
	if *invalid == nil {
		*hash, err = d.cfg.Passwords.Hash(ctx, plain)
	}
	return err
}

func (d *Dispatcher) preparePassword(ctx context.Context, cmd *protocol.Command[protocol.ChangePassword]) (err error) {
	if cmd.Req.Proven, err = d.prove(ctx, cmd.Caller, &cmd.Req.CurrentPassword, &cmd.Invalid); err != nil {
		return err
	}
	return d.hashInto(ctx, &cmd.Req.NewPassword, &cmd.Req.Hash, "newPassword", &cmd.Invalid)
}

// prove checks the caller's own password, which it empties, and returns the hash
// that it fits.
func (d *Dispatcher) prove(ctx context.Context, caller protocol.Caller, password *string, invalid **protocol.Error) (string, error) {
	plain := *password
	*password = ""
	if *invalid != nil {
		return "", *invalid
	}
	hash, err := d.cfg.DB.PasswordHash(ctx, caller.UserID)
	if err != nil {
		return "", err
	}
	ok, _, err := d.cfg.Passwords.Verify(ctx, hash, plain)
	if err == nil && !ok {
		err = errWrongPassword
	}
	return hash, err
}

// prepareReset looks for the link before it spends a hash on it.
func (d *Dispatcher) prepareReset(ctx context.Context, cmd *protocol.Command[protocol.ResetPassword]) error {
	cmd.Req.TokenHash = sha256.Sum256([]byte(cmd.Req.Token))
	cmd.Req.Token = ""
	if cmd.Invalid == nil {
		ok, err := d.cfg.DB.ResetPending(ctx, cmd.Req.TokenHash)
		if err != nil {
			return err
		}
		if !ok {
			return errBadReset
		}
	}
	return d.hashInto(ctx, &cmd.Req.NewPassword, &cmd.Req.Hash, "newPassword", &cmd.Invalid)
}
