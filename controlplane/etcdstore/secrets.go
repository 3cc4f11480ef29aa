package etcdstore

import (
	"context"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// The values of secrets are beside the records, so that a list reads none.
const (
	secretsPrefix = "secrets/record/"
	sealedPrefix  = "secrets/sealed/"
)

func secretKey(id controlplane.SecretID) string { return secretsPrefix + id.Key() }
func sealedKey(id controlplane.SecretID) string { return sealedPrefix + id.Key() }

// sealedValue is the value of secrets/sealed/….
type sealedValue struct {
	Sealed []byte `json:"sealed"`
}

func (t *tx) Secret(id controlplane.SecretID) (*controlplane.Secret, error) {
	return record(t, secretKey(id), "secret", id.Name, func(s *controlplane.Secret, rev int64) { s.Revision = rev })
}

func (t *tx) SealedSecret(id controlplane.SecretID) ([]byte, error) {
	var value sealedValue
	_, ok, err := t.load(sealedKey(id), &value)
	if err == nil && !ok {
		err = notFound("secret", id.Name)
	}
	return value.Sealed, err
}

func (t *tx) SecretsOwned(owner string) (int, error) {
	return t.count(secretKey(controlplane.SecretID{Visibility: controlplane.Private, Owner: owner}))
}

// Secrets implements controlplane.Store.
func (s *Store) Secrets(ctx context.Context, scope string, p controlplane.Page) (controlplane.List[*controlplane.Secret], error) {
	p.Prefix = scope
	return list(ctx, s, secretsPrefix, p, func(secret *controlplane.Secret, rev int64) { secret.Revision = rev })
}
