package cli

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// Bounds of what a server says about a sign-in (RFC 8628 §3.2), in seconds.
const (
	defaultInterval, mostInterval = 5, 60
	defaultLife, mostLife         = 900, 3600
	slowDown                      = 5 * time.Second
)

// deviceToken signs in by a code that somebody approves in a browser.
func (p *program) deviceToken(ctx context.Context, api *client.Client, info *v1.LoginInfo, f *loginFlags) (string, error) {
	name := f.name
	if name == "" {
		name = strings.TrimSuffix("slipway on "+p.host, " on ")
	}
	d, err := api.BeginLogin(ctx, v1.DeviceRequest{Name: name, Scopes: f.scopes})
	if err != nil {
		return "", err
	}
	if !webURL(d.VerificationURI) || d.DeviceCode == "" || d.UserCode == "" {
		return "", fmt.Errorf("sign in: the server at %s gives no address for a browser", api.Endpoint())
	}
	target := d.VerificationURI
	if webURL(d.VerificationURIComplete) {
		target = d.VerificationURIComplete
	}
	p.say("Open this address in a browser, here or on any other machine:\n\n  %s\n", oneLine(target))
	p.say("Approve it there if it shows the code  %s  and nobody else gave it to you.", oneLine(d.UserCode))
	if info.Provider == nil {
		p.say(`Without a provider only a link signs in there: "slipway login --link" on the server.`)
	}
	if !f.noBrowser && p.hasBrowser() {
		if err := p.browse(target); err != nil {
			p.say("no browser opens here: %v", err)
		}
	}
	life := time.Duration(bound(d.ExpiresIn, defaultLife, mostLife)) * time.Second
	p.say("waiting for it, for %s at most; Ctrl-C ends this", life)
	return p.awaitApproval(ctx, api, d.DeviceCode, time.Duration(bound(d.Interval, defaultInterval, mostInterval))*time.Second, life)
}

// bound is n, at most most; what is no number of seconds is the default.
func bound(n, fallback, most int) int {
	if n <= 0 {
		return fallback
	}
	return min(n, most)
}

// awaitApproval asks for the token as often as the server allows. A server
// that is away is asked again, less often.
func (p *program) awaitApproval(ctx context.Context, api *client.Client, code string, interval, life time.Duration) (string, error) {
	away := false
	for ; life > 0; life -= interval {
		if err := p.pause(ctx, interval); err != nil {
			return "", err
		}
		token, err := api.LoginToken(ctx, code)
		if err == nil {
			if redact(token.Secret) != "slw_…" {
				return "", fmt.Errorf("sign in: what the server at %s gives is no token", api.Endpoint())
			}
			return token.Secret, nil
		}
		switch client.CodeOf(err) {
		case client.LoginPending:
			away = false
		case client.LoginSlowDown:
			interval += slowDown
		case client.LoginDenied:
			return "", controlplane.Errorf(controlplane.CodeForbidden, "the sign-in was refused in the browser")
		case client.LoginExpired:
			life = 0
		case controlplane.CodeUnavailable:
			if interval += slowDown; !away {
				p.say("the server does not answer; asking on")
			}
			away = true
		default:
			return "", err
		}
	}
	return "", controlplane.Errorf(controlplane.CodeTimeout, "nobody approved the sign-in in time").WithHint("slipway login begins another")
}

// webURL reports whether it is safe to give s to a browser.
func webURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && s == clean(s)
}

// hasBrowser reports whether a browser that opens here is in front of whoever
// typed this.
func (p *program) hasBrowser() bool {
	for _, remote := range []string{"SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"} {
		if p.Env(remote) != "" {
			return false
		}
	}
	switch runtime.GOOS {
	case "darwin", "windows":
		return p.ErrTTY
	}
	return p.ErrTTY && (p.Env("DISPLAY") != "" || p.Env("WAYLAND_DISPLAY") != "")
}

// openBrowser opens a web address with what the desktop has for it. It does
// not wait for the browser, which may end long after this program.
func openBrowser(target string) error {
	command := []string{"xdg-open"}
	switch runtime.GOOS {
	case "darwin":
		command = []string{"open"}
	case "windows":
		command = []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	c := exec.Command(command[0], append(command[1:], target)...) //nolint:gosec,noctx // a web address (webURL); it outlives the context
	if err := c.Start(); err != nil {
		return err
	}
	return c.Process.Release()
}
