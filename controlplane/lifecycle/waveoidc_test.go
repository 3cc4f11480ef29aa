package lifecycle

import (
	"errors"
	"slices"
	"testing"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

func TestWaveOIDC(t *testing.T) {
	site, err := routing.NewSite(routing.SiteConfig{BaseURL: "https://apps.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	client := &WaveClient{
		Issuer: "https://auth.example.com", ClientID: "wave", Scopes: []string{"profile", "email"},
		Secret: func() (string, error) { return "hush", nil },
	}
	broken := *client
	broken.Secret = func() (string, error) { return "", errors.New("no such file") }
	in := &controlplane.Instance{ID: "2efe9e0e-2b8b-4d2f-9f0e-1d7f2d3f4a5b"}
	app := func(mode controlplane.AppMode, oidc bool) *controlplane.App {
		return &controlplane.App{AppMode: mode, Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{EnableOIDC: oidc}}}
	}
	for _, c := range []struct {
		name   string
		client *WaveClient
		app    *controlplane.App
		want   []string
	}{
		{"a Wave app with EnableOIDC", client, app(controlplane.Wave, true), []string{
			"H2O_WAVE_OIDC_PROVIDER_URL=https://auth.example.com",
			"H2O_WAVE_OIDC_CLIENT_ID=wave",
			"H2O_WAVE_OIDC_CLIENT_SECRET=hush",
			"H2O_WAVE_OIDC_REDIRECT_URL=https://apps.example.com/instance/2efe9e0e-2b8b-4d2f-9f0e-1d7f2d3f4a5b/_auth/callback",
			"H2O_WAVE_OIDC_SCOPES=openid,profile,email",
			"H2O_WAVE_OIDC_SKIP_LOGIN=1",
		}},
		{"one without", client, app(controlplane.Wave, false), nil},
		{"another app with EnableOIDC", client, app(controlplane.Python, true), nil},
		{"no client is configured", nil, app(controlplane.Wave, true), nil},
		{"the secret cannot be read", &broken, app(controlplane.Wave, true), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := waveOIDC(c.client, site, in, c.app, zap.NewNop()); !slices.Equal(got, c.want) {
				t.Errorf("got %q", got)
			}
		})
	}
}
