package controlplane

import (
	"net/netip"
	"sync"
	"time"
)

// CodeTooMany is the answer to one who asks too often.
const CodeTooMany Code = "too_many_requests"

// limit is so many in that time.
type limit struct {
	most int
	per  time.Duration
}

// maxLimited is of how many sources counts are kept. Beyond it all are refused:
// whoever has so many addresses is not to pass for many people.
const maxLimited = 10000

// limits counts, in this process alone, what is done in a window of time.
type limits struct {
	mu     sync.Mutex
	counts map[string]*count
}

type count struct {
	n     int
	until time.Time
}

// allow counts one more, and reports whether that is within the limit.
func (l *limits) allow(of string, at limit, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts[of]
	if c == nil || !now.Before(c.until) {
		if len(l.counts) >= maxLimited {
			l.forget(now)
		}
		if c == nil && len(l.counts) >= maxLimited {
			return false
		}
		if l.counts == nil {
			l.counts = map[string]*count{}
		}
		c = &count{until: now.Add(at.per)}
		l.counts[of] = c
	}
	if c.n >= at.most {
		return false
	}
	c.n++
	return true
}

// used returns how many were counted in the present window.
func (l *limits) used(of string, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.counts[of]; c != nil && now.Before(c.until) {
		return c.n
	}
	return 0
}

func (l *limits) forget(now time.Time) {
	for of, c := range l.counts {
		if !now.Before(c.until) {
			delete(l.counts, of)
		}
	}
}

// sourceOf is what addresses count as one source: an IPv4 address, or the /64
// of an IPv6 address (spec interfaces.md §6).
func sourceOf(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	a = a.Unmap().WithZone("")
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().String()
	}
	return a.String()
}
