package oidctest

// Counts is how often each endpoint was asked, in an outage with 503 too.
type Counts struct {
	Discovery  int
	Authorize  int // one for each time that a browser came from a client
	Login      int // the form: shown, passed silently, or sent
	Token      int
	Refresh    int // those of Token that were refreshes
	Userinfo   int
	Keys       int
	EndSession int
	Revoke     int
	Introspect int
}

// Counts tells how often each endpoint was asked since the start.
func (p *Provider) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

func (c *Counts) add(path string, refresh bool) {
	if refresh {
		c.Refresh++
	}
	switch path {
	case discoveryPath:
		c.Discovery++
	case authorizePath:
		c.Authorize++
	case loginPath:
		c.Login++
	case tokenPath:
		c.Token++
	case userinfoPath:
		c.Userinfo++
	case keysPath:
		c.Keys++
	case endSessionPath:
		c.EndSession++
	case revokePath:
		c.Revoke++
	case introspectPath:
		c.Introspect++
	}
}
