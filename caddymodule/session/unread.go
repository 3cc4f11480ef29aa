package session

import (
	"net/http"
	"strings"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/routing"
)

// Unread is the credential of a visitor who was let in without a look at it, as
// everybody was. It is read when that is over. The zero value is nobody's.
type Unread struct {
	authorization, cookie []string
	names                 *Cookies

	pass string // kept of them; "" as long as they are there
	use  identity.PassUse
}

// NewUnread is the credential of a request. Without cookies it is the bearer's
// alone.
func NewUnread(r *http.Request, names *Cookies, cookies bool) Unread {
	u := Unread{authorization: r.Header["Authorization"], names: names}
	if cookies {
		u.cookie = r.Header["Cookie"]
	}
	return u
}

// Kept is the credential without the request that it came with, for what outlives
// that.
func (u *Unread) Kept(instance routing.ID) Unread {
	if pass, use, count := u.find(instance); count == 1 {
		return Unread{pass: strings.Clone(pass), use: use}
	}
	return Unread{}
}

func (u *Unread) find(instance routing.ID) (pass string, use identity.PassUse, count int) {
	if u.pass != "" {
		return u.pass, u.use, 1
	}
	if u.names == nil {
		return "", "", 0
	}
	return findPass(u.authorization, u.cookie, *u.names, instance)
}

// findPass returns the pass that came for an instance, and how many did: two are
// none. A bearer of ours goes before cookies.
func findPass(authorization, cookie []string, names Cookies, instance routing.ID) (pass string, use identity.PassUse, count int) {
	if pass, count = bearerOf(authorization); count > 0 {
		return pass, identity.PassBearer, count
	}
	if len(cookie) == 0 {
		return "", "", 0
	}
	pass, count = findCookie(cookie, names.Pass(instance.String()))
	return pass, identity.PassCookie, count
}

// bearerOf is the credential of Slipway's that a request bears, and how many there
// are; an app's own are the app's business.
func bearerOf(values []string) (bearer string, count int) {
	for _, value := range values {
		for part := range strings.FieldsSeq(value) {
			if strings.HasPrefix(part, "slw_") {
				bearer, count = part, count+1
			}
		}
	}
	return bearer, count
}

// Read finds out who it was that was let in at a time: whose sign-in goes on, and
// nobody else.
func (c *Checker) Read(t *routing.Table, in *routing.Instance, u *Unread, at time.Time) *Known {
	pass, use, count := u.find(in.ID)
	if count != 1 {
		return nil
	}
	known := c.know(t, in, pass, use, at)
	if known == nil || !known.Lasts(t, c.now()) {
		return nil
	}
	return known
}
