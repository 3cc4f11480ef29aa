package session

import (
	"net/http"
	"strings"

	"github.com/seed-dbc68772/slipway/routing"
)

// Cookies are the names and attributes of Slipway's cookies on the hosts of
// instances. On https they have the prefix __Host-, so that no other host can
// set them; on http://, where that does not exist and cookies are shared by all
// ports of a host, they have the port in their names.
type Cookies struct {
	prefix, suffix string
	secure         bool
}

// NewCookies makes those of a site.
func NewCookies(site *routing.Site) Cookies {
	if site.Scheme() == "https" {
		return Cookies{prefix: "__Host-slipway-", secure: true}
	}
	c := Cookies{prefix: "slipway-"}
	if port := site.Port(); port != "" {
		c.suffix = "-" + port
	}
	return c
}

// Pass names the cookie that holds the pass of an instance.
func (c Cookies) Pass(id string) string { return c.prefix + "i-" + id + c.suffix }

// Nonce names the cookie that binds a sign-in to the browser that began it.
func (c Cookies) Nonce(id string) string { return c.prefix + "n-" + id + c.suffix }

// Set is a Set-Cookie line. Seconds are its life; 0 clears the cookie.
func (c Cookies) Set(name, value string, seconds int) string {
	cookie := http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: seconds, Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if seconds <= 0 {
		cookie.Value, cookie.MaxAge = "", -1
	}
	return cookie.String()
}

// Find returns the value of the cookie of that name, and how many there are of
// it. It does not allocate.
func Find(h http.Header, name string) (value string, count int) {
	return findCookie(h["Cookie"], name)
}

func findCookie(lines []string, name string) (value string, count int) {
	for _, line := range lines {
		for line != "" {
			var part string
			part, line, _ = strings.Cut(line, ";")
			part = strings.Trim(part, " \t")
			if len(part) > len(name) && part[len(name)] == '=' && part[:len(name)] == name {
				value, count = part[len(name)+1:], count+1
			}
		}
	}
	return value, count
}
