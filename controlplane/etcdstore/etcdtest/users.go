package etcdtest

import (
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

// Admin makes the local admin and returns a token of theirs.
func Admin(t testing.TB, store *etcdstore.Store) string {
	t.Helper()
	return Token(t, store, &controlplane.User{Name: controlplane.LocalAdmin, Subject: controlplane.LocalAdmin})
}

// User makes a user of a provider with these roles and returns a token of theirs.
func User(t testing.TB, store *etcdstore.Store, name string, roles ...string) string {
	t.Helper()
	return Token(t, store, &controlplane.User{Name: name, Issuer: "https://provider.example", Subject: name, Roles: roles})
}

// Token keeps a user and a token of theirs that is good for everything.
func Token(t testing.TB, store *etcdstore.Store, user *controlplane.User) string {
	t.Helper()
	token := identity.NewToken()
	_, err := store.Update(t.Context(), func(tx controlplane.Tx) error {
		if err := tx.Put(user); err != nil {
			return err
		}
		return tx.Put(&controlplane.Token{
			Hash: identity.HashToken(token), ID: identity.NewID(), User: user.Name, Scopes: controlplane.Scopes,
			CreatedAt: time.Now().UTC(),
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}
