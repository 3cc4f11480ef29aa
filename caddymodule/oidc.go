package caddymodule

import (
	"errors"
	"fmt"
	"net/url"
)

// OIDC says which OpenID provider people sign in at, by the authorization code
// flow with PKCE. Its client has <console>/callback as redirect address,
// <console>/ as address after a sign-out, and <console>/backchannel-logout for
// its logout tokens.
type OIDC struct {
	// The provider's name, as its discovery document has it: https://…, or
	// http://… on this machine. Required.
	Issuer string `json:"issuer"`
	// What the provider knows this installation by. Required.
	ClientID string `json:"client_id"`
	// File of the client's secret, read at each use. Default: none, for a public
	// client.
	ClientSecretFile string `json:"client_secret_file,omitempty"`
	// Scopes besides openid. Default: profile and email.
	Scopes []string `json:"scopes,omitempty"`
	// What the provider knows the Wave servers of apps with EnableOIDC by, which
	// then sign people in by themselves: a client of its own with
	// <base URL>/instance/<ID>/_auth/callback as redirect addresses. Each of those
	// apps can read its secret. Default: none, and those apps learn who visits
	// them from headers alone.
	WaveClientID string `json:"wave_client_id,omitempty"`
	// File of that client's secret, read at each start of such an app. Required
	// with wave_client_id.
	WaveSecretFile string `json:"wave_secret_file,omitempty"`
	// PEM file of the authority of the provider's certificate. Default: those
	// that the system trusts.
	CA string `json:"ca,omitempty"`
}

func (o *OIDC) validate() error {
	if o == nil {
		return nil
	}
	u, err := url.Parse(o.Issuer)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("oidc: the issuer is a URL such as https://auth.example.com/realms/main, not %q", o.Issuer)
	case u.Scheme == "http" && !isLoopback(hostPort(u)):
		return fmt.Errorf("oidc: the issuer %s is not on this machine: it needs https", o.Issuer)
	case o.ClientID == "":
		return errors.New("oidc: the client ID is missing")
	case (o.WaveClientID == "") != (o.WaveSecretFile == ""):
		return errors.New("oidc: wave_client takes an ID and the file of its secret")
	case o.WaveClientID != "" && o.WaveClientID == o.ClientID:
		return errors.New("oidc: wave_client is this installation's own client; apps can read its secret, so it needs one of its own")
	}
	return nil
}

// hostPort is a URL's host as addresses have it.
func hostPort(u *url.URL) string {
	if u.Port() == "" {
		return u.Host + ":80"
	}
	return u.Host
}

// oidc reads the provider and its block.
func (p *parser) oidc() error {
	o := new(OIDC)
	if !p.Args(&o.Issuer, &o.ClientID) || p.NextArg() {
		return p.ArgErr()
	}
	p.app.OIDC = o
	return p.block("oidc", map[string]func() error{
		"client_secret_file": func() error { return p.one(&o.ClientSecretFile) },
		"wave_client": func() error {
			if !p.Args(&o.WaveClientID, &o.WaveSecretFile) || p.NextArg() {
				return p.ArgErr()
			}
			return nil
		},
		"ca": func() error { return p.one(&o.CA) },
		"scopes": func() error {
			if o.Scopes = p.RemainingArgs(); len(o.Scopes) == 0 {
				return p.ArgErr()
			}
			return nil
		},
	})
}
