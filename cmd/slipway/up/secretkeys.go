package up

import (
	"encoding/json"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/vault"
)

// makeSecretKeys makes the file of keys that seal secrets, unless there is one or
// the settings name another. One that was lost is made anew, too: what the old
// one has sealed says then which key it lacks.
func (r *run) makeSecretKeys() error {
	var given struct {
		SecretKeys string `json:"secret_keys"`
	}
	if raw := r.app.ControlPlaneRaw; raw != nil {
		if err := json.Unmarshal(raw, &given); err != nil {
			return usage("the settings of the control plane cannot be read: %v", err)
		}
	}
	if given.SecretKeys != "" {
		return nil
	}
	if _, err := vault.Create(r.secretKeys()); err != nil && controlplane.CodeOf(err) != controlplane.CodeConflict {
		return fail(err, "cannot make the keys that seal secrets").WithHint("%s", r.mend(err))
	}
	return nil
}
