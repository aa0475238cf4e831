package connection

import "sync"

// agents keeps one copy of each User-Agent: ten thousand clients have a dozen.
type agents struct {
	mu   sync.Mutex
	seen map[string]string
}

const (
	maxAgent  = 256  // bytes that are kept
	maxAgents = 1024 // different ones that are shared
)

func (a *agents) intern(s string) string {
	s = s[:min(len(s), maxAgent)]
	a.mu.Lock()
	defer a.mu.Unlock()
	if own, ok := a.seen[s]; ok {
		return own
	}
	own := string(append([]byte(nil), s...))
	if a.seen == nil {
		a.seen = map[string]string{}
	}
	if len(a.seen) < maxAgents {
		a.seen[own] = own
	}
	return own
}
