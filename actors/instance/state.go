package instance

import (
	"context"

	"github.com/rookery-chat/rookery/actors/rules"
	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/persistence"
	"github.com/rookery-chat/rookery/protocol"
)

// general is the channel that new members are let into.
const general = "general"

// row tags the ids that this package makes.
type row struct{}

// State is the instance in memory.
type State struct {
	db   *persistence.DB
	rows persistence.InstanceRows
}

// load reads the instance and makes what every instance has.
func load(ctx context.Context, db *persistence.DB, t turn.Turn) (*State, error) {
	var roles []protocol.Role
	for _, d := range rules.InstanceRoles() {
		roles = append(roles, newRole(d, t.Now))
	}
	rows, err := db.Instance(ctx, t.Owner, roles)
	if err != nil {
		return nil, err
	}
	return &State{db: db, rows: rows}, nil
}

func newRole(d rules.DefaultRole, at protocol.Instant) protocol.Role {
	return protocol.Role{
		ID: protocol.RoleID(protocol.NewID[row]()), Name: d.Name, Actions: d.Names(), CreatedAt: at, IsDefault: true,
	}
}

// needsSetup reports whether nobody is there and nobody can come.
func (s *State) needsSetup() bool { return !s.rows.HasUsers && !s.rows.HasInvites }

// token is the set-up token while it is good.
func (s *State) token(now protocol.Instant) string {
	if !s.needsSetup() || s.rows.TokenUntil <= now {
		return ""
	}
	return s.rows.Token
}

func (s *State) publicSettings(turn.Turn, protocol.GetPublicSettings) (turn.Outcome, error) {
	return turn.Outcome{Reply: &protocol.PublicSettings{
		Name: s.rows.Name, RegistrationMode: s.rows.Registration, MaxFileSizeBytes: s.rows.MaxFileSize,
	}}, nil
}
