package session

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/routing"
)

// Checker says who a visitor is. Any number of goroutines may use it.
type Checker struct {
	now      func() time.Time
	verified cache
	rules    atomic.Pointer[rulesOf]
	asks     asks
}

// rulesOf are the rules that a record of the settings gives.
type rulesOf struct {
	record *routing.Record
	access.Rules
}

// New makes a checker that remembers nothing yet. Close it.
func New() *Checker {
	c := &Checker{now: time.Now}
	c.asks.ctx, c.asks.cancel = context.WithCancel(context.Background())
	return c
}

// Visitor is who sent a request. The zero value is nobody.
type Visitor struct {
	// Known is who is signed in; nil: nobody is.
	Known *Known
	// Cookie: it came in a cookie, which a browser sends whoever asks it to.
	Cookie bool
	// Spoiled: a cookie came that is good for nothing, and is to be cleared.
	Spoiled bool
	// Foreign: a bearer of Slipway's came that is good for nothing here.
	Foreign bool
}

// Visitor finds out who sent a request for an instance.
func (c *Checker) Visitor(t *routing.Table, in *routing.Instance, cookies Cookies, r *http.Request) Visitor {
	pass, use, count := findPass(r.Header["Authorization"], r.Header["Cookie"], cookies, in.ID)
	if count == 0 {
		return Visitor{}
	}
	var known *Known
	if count == 1 {
		known = c.know(t, in, pass, use, c.now())
	}
	if use == identity.PassBearer {
		return Visitor{Known: known, Foreign: known == nil}
	}
	return Visitor{Known: known, Cookie: known != nil, Spoiled: known == nil}
}

// Know returns who holds a pass that came from a control plane for a cookie of
// the instance; nil if this edge would not take it.
func (c *Checker) Know(t *routing.Table, id routing.ID, token string) *Known {
	in := t.Instance(id)
	if in == nil {
		return nil
	}
	return c.know(t, in, token, identity.PassCookie, c.now())
}

// know returns whose pass it is, if it was good for this instance at that time and
// was not revoked since.
func (c *Checker) know(t *routing.Table, in *routing.Instance, token string, use identity.PassUse, at time.Time) *Known {
	k := c.verified.get(token)
	if k == nil || t.Record(k.keyName) != k.key {
		if k = c.verify(t, token); k == nil {
			return nil
		}
		if now := c.now(); k.pass.Alive(now) {
			c.verified.put(token, k, now)
		}
	}
	if k.instance != in.ID || k.pass.Use != use || !k.pass.Alive(at) || k.revoked(t) {
		return nil
	}
	return k
}

// verify checks the signature by the table's keys.
func (c *Checker) verify(t *routing.Table, token string) *Known {
	k := new(Known)
	pass, err := identity.ReadPass(token, func(kid string) ed25519.PublicKey {
		k.keyName = etcdstore.RecordOfKey(kid)
		if k.key = t.Record(k.keyName); k.key == nil {
			return nil
		}
		key, err := etcdstore.ReadVerificationKey(k.key)
		if err != nil {
			return nil
		}
		return key.Key
	})
	if err != nil {
		return nil
	}
	id, ok := routing.ParseID(pass.Instance)
	if !ok {
		return nil
	}
	k.token, k.pass, k.instance, k.actor = token, pass, id, pass.Actor()
	sum := sha256.Sum256([]byte("slipway user " + strings.ToLower(pass.User)))
	k.hash = hex.EncodeToString(sum[:8])
	k.user = etcdstore.RecordOfUser(strings.ToLower(pass.User))
	k.credential = etcdstore.RecordOfCredential(pass.Credential)
	return k
}

// Known is a verified pass, and who holds it.
type Known struct {
	token    string
	pass     *identity.Pass
	actor    controlplane.Actor
	instance routing.ID
	// The names of the records that it depends on, and the key that it was
	// verified by.
	keyName, user, credential string
	key                       *routing.Record
	hash                      string // of the user's name, for logs

	renewal renewal
}

// Token is the pass itself, for a cookie.
func (k *Known) Token() string { return k.token }

// UserHash stands for the user in logs: 16 hexadecimal digits that are one
// user's at every edge.
func (k *Known) UserHash() string { return k.hash }

// Actor is who holds it, with the rights of when it was issued.
func (k *Known) Actor() *controlplane.Actor { return &k.actor }

func (k *Known) revoked(t *routing.Table) bool {
	if r := t.Record(k.user); r != nil && k.pass.Epoch < r.Epoch {
		return true
	}
	return t.Record(k.credential) != nil
}

// Lasts reports whether the sign-in behind the pass goes on: what it opened may
// outlive the pass itself.
func (k *Known) Lasts(t *routing.Table, now time.Time) bool {
	return !k.revoked(t) && now.Unix() < k.pass.Until
}

// Rules are those of the settings that the table holds. Settings that are not
// there are the defaults: nothing is shared.
func (c *Checker) Rules(t *routing.Table) access.Rules {
	record := t.Record(etcdstore.RecordSettings)
	if known := c.rules.Load(); known != nil && known.record == record {
		return known.Rules
	}
	settings, err := etcdstore.ReadEdgeSettings(record)
	if err != nil {
		settings = controlplane.EdgeSettings{} // no such record comes into a table
	}
	rules := access.Rules{PublicMode: settings.PublicMode, BaseURLSharing: settings.BaseURLSharing}
	c.rules.Store(&rulesOf{record, rules})
	return rules
}

var nobody controlplane.Actor

// MayOpen answers whether somebody may open an instance; k is nil for nobody.
func (c *Checker) MayOpen(t *routing.Table, in *routing.Instance, k *Known) controlplane.Verdict {
	rules := c.Rules(t)
	if isOpen(in, rules) {
		return controlplane.Allowed
	}
	actor := &nobody
	if k != nil {
		actor = &k.actor
	}
	of := controlplane.Resource{Owner: in.Owner, Visibility: visibilities[in.Visibility], RoutingMode: controlplane.Domain}
	if in.Mode == routing.BaseURL {
		of.RoutingMode = controlplane.BaseURL
	}
	if p := t.Policy(in.App); p != nil {
		of.AppOwner, of.AppVisibility, of.VisitorRoles = p.Owner, visibilities[p.Visibility], p.VisitorRoles
		if p.Managed {
			of.Lifecycle = controlplane.Managed
		}
	}
	return rules.Decide(actor, controlplane.OpenInstance, &of)
}

var visibilities = [...]controlplane.Visibility{
	routing.Private: controlplane.Private, routing.AllUsers: controlplane.AllUsers, routing.Public: controlplane.Public,
}

// IsOpen reports whether everybody may open an instance: what most requests are
// for is decided without a look at who sent them.
func (c *Checker) IsOpen(t *routing.Table, in *routing.Instance) bool { return isOpen(in, c.Rules(t)) }

func isOpen(in *routing.Instance, rules access.Rules) bool {
	return in.Visibility == routing.Public && (in.Mode == routing.Domain || rules.BaseURLSharing)
}
