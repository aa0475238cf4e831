package protocol

// Role is the contract's role object. Actions are in stored order; names that
// this version does not know were left out when it was read.
type Role struct {
	ID        RoleID   `json:"id"`
	Name      string   `json:"name"`
	Actions   []string `json:"actions"`
	CreatedAt Instant  `json:"createdAt"`
	IsDefault bool     `json:"isDefault"`
}

// Names of the default roles that the server itself hands out.
const (
	RoleCommunityAdmin = "Community Admin"
	RoleMember         = "Member"
	RoleInstanceAdmin  = "Instance Admin"
)
