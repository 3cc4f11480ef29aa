package etcdstore

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"reflect"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// signingKey is the value of signing/<name>.
type signingKey struct {
	Key []byte `json:"key"`
}

// SigningKey is a secret of 256 bits that only control planes read, made by
// the first that asks for it.
func (s *Store) SigningKey(ctx context.Context, name string) ([]byte, error) {
	var key signingKey
	_, err := s.Update(ctx, func(t controlplane.Tx) error {
		_, ok, err := t.(*tx).load(signingKeyKey(name), &key)
		if err != nil || ok {
			return err
		}
		key.Key = make([]byte, 32)
		rand.Read(key.Key)
		t.(*tx).put(signingKeyKey(name), key)
		return nil
	})
	return key.Key, err
}

// passKeys is the value of signing/pass.
type passKeys struct {
	Keys []controlplane.SigningKey `json:"keys"`
}

// PassKeys implements identity.KeyStore. The public halves are published by the
// same transaction, below routes/keys/.
func (s *Store) PassKeys(ctx context.Context, change func([]controlplane.SigningKey) []controlplane.SigningKey) ([]controlplane.SigningKey, error) {
	var after []controlplane.SigningKey
	_, err := s.Update(ctx, func(ct controlplane.Tx) error {
		t := ct.(*tx)
		var before passKeys
		if _, _, err := t.load(signingKeyKey("pass"), &before); err != nil {
			return err
		}
		after = change(before.Keys)
		if reflect.DeepEqual(before.Keys, after) {
			return nil
		}
		t.put(signingKeyKey("pass"), passKeys{after})
		for _, key := range before.Keys {
			t.delete(RecordRouteKey(RecordOfKey(key.ID)))
		}
		for _, key := range after {
			t.putPlain(RecordRouteKey(RecordOfKey(key.ID)), controlplane.VerificationKey{
				Algorithm: controlplane.EdDSA, CreatedAt: key.CreatedAt,
				Key: ed25519.NewKeyFromSeed(key.Seed).Public().(ed25519.PublicKey),
			})
		}
		return t.err
	})
	return after, err
}
