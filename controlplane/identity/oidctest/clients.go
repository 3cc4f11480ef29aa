package oidctest

import (
	"cmp"
	"slices"
)

// Client is a program that users sign in to. Any scope is allowed to it, and
// the grants authorization_code and refresh_token.
type Client struct {
	ClientID     string   // "slipway" by default
	ClientSecret string   // "secret of " and the ID by default; sent as client_secret_basic or _post
	Public       bool     // has no secret: PKCE alone protects its codes
	RedirectURIs []string // exact
	LogoutURIs   []string // where end_session may send a browser; exact
}

// AddClient adds a client, or replaces one of the same ID, and returns it with
// its defaults.
func (p *Provider) AddClient(c Client) *Client {
	c.ClientID = cmp.Or(c.ClientID, "slipway")
	if c.Public {
		c.ClientSecret = ""
	} else {
		c.ClientSecret = cmp.Or(c.ClientSecret, "secret of "+c.ClientID)
	}
	c.RedirectURIs, c.LogoutURIs = slices.Clone(c.RedirectURIs), slices.Clone(c.LogoutURIs)
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := c
	p.clients[c.ClientID] = &kept
	return &c
}

// ClientID is the ID of the first client.
func (p *Provider) ClientID() string { return p.config.ClientID }

// ClientSecret is the secret of the first client, empty if it is public.
func (p *Provider) ClientSecret() string { return p.config.ClientSecret }

// AllowRedirect lets the first client use one more redirect URI, for tests
// that know their port late.
func (p *Provider) AllowRedirect(uri string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.clients[p.config.ClientID]
	c.RedirectURIs = append(c.RedirectURIs, uri)
}

// AllowLogoutRedirect lets end_session send a browser to one more URI.
func (p *Provider) AllowLogoutRedirect(uri string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.clients[p.config.ClientID]
	c.LogoutURIs = append(c.LogoutURIs, uri)
}
