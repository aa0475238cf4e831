package protocol

import "net/netip"

// Caller is who asks, as established by the edge from a token; never from the
// request itself. The zero Caller is nobody.
type Caller struct {
	UserID  UserID
	Owner   bool      // instance role OWNER: passes permission checks of communities
	Actions ActionSet // of the caller's instance roles
	Session SessionID // token family of the login
	Token   AnyID     // jti of the access token
	Conn    ConnID    // the socket it came by; zero for REST
	Address string    // client address after proxies, for logs and sessions
	Agent   string    // User-Agent
}

// Anonymous reports whether no user stands behind the call.
func (c Caller) Anonymous() bool { return c.UserID.IsZero() }

// Network is what stands for the caller's address where addresses are counted or
// remembered: of IPv6 a customer has a whole /64.
func (c Caller) Network() string {
	a, err := netip.ParseAddr(c.Address)
	if err != nil {
		return ""
	}
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr().String()
		}
	}
	return a.String()
}
