package httpapi

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// TrustProxy tells which proxies are believed when they name the client in
// X-Forwarded-For. The zero value believes none.
type TrustProxy struct {
	hops     int // proxies in front of this server; -1: any number
	networks []netip.Prefix
}

// Names of networks, as in the environment of the reference.
var namedNetworks = map[string][]string{
	"loopback":    {"127.0.0.1/8", "::1/128"},
	"linklocal":   {"169.254.0.0/16", "fe80::/10"},
	"uniquelocal": {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"},
}

// ParseTrustProxy reads TRUST_PROXY: a number of hops, true, false, or a list of
// addresses, networks and the names loopback, linklocal, uniquelocal.
func ParseTrustProxy(s string) (TrustProxy, error) {
	s = strings.TrimSpace(s)
	switch s {
	case "", "false":
		return TrustProxy{}, nil
	case "true":
		return TrustProxy{hops: -1}, nil
	}
	if n, err := strconv.Atoi(s); err == nil && n >= 0 {
		return TrustProxy{hops: n}, nil
	}
	var t TrustProxy
	for item := range strings.SplitSeq(s, ",") {
		item = strings.TrimSpace(item)
		list := namedNetworks[item]
		if list == nil {
			list = []string{item}
		}
		for _, text := range list {
			p, err := parseNetwork(text)
			if err != nil {
				return TrustProxy{}, fmt.Errorf("trusted proxy %q: %w", item, err)
			}
			t.networks = append(t.networks, p)
		}
	}
	return t, nil
}

func parseNetwork(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
}

// Client is the address of the client: the nearest one that no trusted proxy
// vouches for.
func (t TrustProxy) Client(r *http.Request) netip.Addr {
	peer := peerOf(r.RemoteAddr)
	if t.hops == 0 && t.networks == nil {
		return peer
	}
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	at := peer
	for hop := 0; t.believes(at, hop); hop++ {
		i := len(forwarded) - 1 - hop
		if i < 0 {
			break
		}
		a, err := netip.ParseAddr(strings.TrimSpace(forwarded[i]))
		if err != nil {
			break
		}
		at = a.Unmap().WithZone("")
	}
	return at
}

func (t TrustProxy) believes(a netip.Addr, hop int) bool {
	if t.networks == nil {
		return t.hops < 0 || hop < t.hops
	}
	for _, p := range t.networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func peerOf(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// limitKey is what an address counts as: IPv6 hosts own a /64.
func limitKey(a netip.Addr) string {
	if a.Is6() {
		p, err := a.Prefix(64)
		if err == nil {
			return p.Addr().String()
		}
	}
	return a.String()
}
