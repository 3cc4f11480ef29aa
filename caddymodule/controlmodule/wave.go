package controlmodule

import (
	"fmt"
	"os"
	"strings"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
)

// waveClient is the client of Wave servers that the settings name, or nil.
func waveClient(o *caddymodule.OIDC) *lifecycle.WaveClient {
	if o == nil || o.WaveClientID == "" {
		return nil
	}
	return &lifecycle.WaveClient{
		Issuer: o.Issuer, ClientID: o.WaveClientID, Scopes: o.Scopes,
		Secret: func() (string, error) {
			text, err := os.ReadFile(o.WaveSecretFile)
			if err != nil {
				return "", fmt.Errorf("read the secret of oidc's wave_client: %w", err)
			}
			return strings.TrimSpace(string(text)), nil
		},
	}
}
