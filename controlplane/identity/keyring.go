package identity

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// The life of a key that signs passes. A new one is published before it signs,
// so that each edge knows it by then, and stays published for longer than the
// last pass that it signed lives.
const (
	rotateEvery  = 24 * time.Hour
	publishAhead = time.Minute
	keepAfter    = time.Hour
	lookEvery    = 20 * time.Second // for what other control planes have rotated
)

// KeyStore keeps the private halves of keys where only control planes read
// them, and publishes the public halves; etcdstore.Store does.
type KeyStore interface {
	// PassKeys replaces the keys by what change makes of them, in a
	// transaction, and returns that. change may run several times.
	PassKeys(ctx context.Context, change func([]controlplane.SigningKey) []controlplane.SigningKey) ([]controlplane.SigningKey, error)
}

// Keyring signs passes. Its keys are all control planes', rotated daily.
type Keyring struct {
	store KeyStore
	now   func() time.Time

	mu   sync.Mutex
	keys []controlplane.SigningKey // the oldest first
}

// NewKeyring makes a keyring with the store's keys; the first control plane
// makes one.
func NewKeyring(ctx context.Context, store KeyStore, now func() time.Time) (*Keyring, error) {
	k := &Keyring{store: store, now: now}
	if err := k.Rotate(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// Run rotates the keys until ctx ends. failed is told of each time when that
// was not possible: the old keys go on.
func (k *Keyring) Run(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := k.Rotate(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}

// Rotate takes over the store's keys, and changes them where it is time.
func (k *Keyring) Rotate(ctx context.Context) error {
	keys, err := k.store.PassKeys(ctx, func(keys []controlplane.SigningKey) []controlplane.SigningKey {
		return rotated(keys, k.now())
	})
	if err != nil {
		return fmt.Errorf("rotate keys: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = keys
	return nil
}

// rotated is what is to be of keys, the oldest first, at that time.
func rotated(keys []controlplane.SigningKey, now time.Time) []controlplane.SigningKey {
	keys = slices.Clone(keys)
	if n := len(keys); n == 0 || now.Sub(keys[n-1].CreatedAt) >= rotateEvery {
		seed := make([]byte, ed25519.SeedSize)
		rand.Read(seed)
		keys = append(keys, controlplane.SigningKey{ID: strings.ToLower(rand.Text()[:12]), Seed: seed, CreatedAt: now.UTC().Truncate(time.Second)})
	}
	// A key has signed its last when its successor began to.
	for len(keys) > 1 && now.Sub(keys[1].CreatedAt) >= publishAhead+keepAfter {
		keys = keys[1:]
	}
	return keys
}

// current is the key that signs: the newest that edges have had time to learn
// of.
func (k *Keyring) current() controlplane.SigningKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := len(k.keys) - 1
	for at > 0 && k.now().Sub(k.keys[at].CreatedAt) < publishAhead {
		at--
	}
	return k.keys[at]
}

// Sign signs a pass.
func (k *Keyring) Sign(p Pass) (string, error) {
	key := k.current()
	return p.sign(key.ID, ed25519.NewKeyFromSeed(key.Seed))
}

// Read checks a pass as an edge does: signature and form, not times and
// revocations.
func (k *Keyring) Read(token string) (*Pass, error) {
	return ReadPass(token, func(kid string) ed25519.PublicKey {
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, key := range k.keys {
			if key.ID == kid {
				return ed25519.NewKeyFromSeed(key.Seed).Public().(ed25519.PublicKey)
			}
		}
		return nil
	})
}

// Issue implements controlplane.Passes. A sign-in without an end lasts as long
// as the pass.
func (k *Keyring) Issue(a *controlplane.Actor, instance string, bearer bool) (string, time.Time, error) {
	now, use, holder := k.now(), PassCookie, *a
	if bearer {
		use = PassBearer
	}
	if holder.Until.IsZero() {
		holder.Until = now.Add(PassLife)
	}
	p := NewPass(&holder, use, instance, now)
	text, err := k.Sign(p)
	return text, time.Unix(p.Expires, 0).UTC(), err
}

// Holder implements controlplane.Passes.
func (k *Keyring) Holder(pass string) (controlplane.Actor, string, error) {
	p, err := k.Read(pass)
	if err != nil || p.Use != PassCookie || !p.Alive(k.now()) {
		return controlplane.Actor{}, "", errPass
	}
	return p.Actor(), p.Instance, nil
}

var _ controlplane.Passes = (*Keyring)(nil)
