package lifecycle

import (
	"strings"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// WaveClient is the OpenID client that the Wave servers of apps with EnableOIDC
// sign people in with (spec apps.md §2). It is not Slipway's own: each of those
// apps can read its secret.
type WaveClient struct {
	Issuer   string
	ClientID string
	Secret   func() (string, error) // asked at each start
	Scopes   []string               // besides openid
}

// waveOIDC are the variables of a Wave server that signs people in by itself.
// A provider has to know its redirect addresses, and few take a pattern for a
// host: so all begin with <base URL>/instance/, from where an instance of mode
// DOMAIN is redirected to, path and query kept (spec routing.md §2).
func waveOIDC(c *WaveClient, site *routing.Site, in *controlplane.Instance, app *controlplane.App, log *zap.Logger) []string {
	if c == nil || app.AppMode != controlplane.Wave || !app.Manifest.Runtime.EnableOIDC {
		return nil
	}
	secret, err := c.Secret()
	if err != nil { // Slipway has let the visitor in, with who it is, all the same
		log.Error("an app begins without a sign-in of its own", zap.String("instance", in.ID), zap.Error(err))
		return nil
	}
	return []string{
		"H2O_WAVE_OIDC_PROVIDER_URL=" + c.Issuer,
		"H2O_WAVE_OIDC_CLIENT_ID=" + c.ClientID,
		"H2O_WAVE_OIDC_CLIENT_SECRET=" + secret,
		"H2O_WAVE_OIDC_REDIRECT_URL=" + site.Origin() + "/instance/" + in.ID + "/_auth/callback",
		"H2O_WAVE_OIDC_SCOPES=" + strings.Join(append([]string{"openid"}, c.Scopes...), ","),
		"H2O_WAVE_OIDC_SKIP_LOGIN=1", // they are signed in at the provider already
	}
}
