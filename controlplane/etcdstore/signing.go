package etcdstore

import (
	"context"
	"crypto/rand"

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

// PutToken stores a personal token.
func (s *Store) PutToken(ctx context.Context, token *controlplane.Token) error {
	_, err := s.Update(ctx, func(t controlplane.Tx) error { return t.Put(token) })
	return err
}
