package controlplane

import (
	"context"
	"fmt"
)

// Resealed is what a rotation has done.
type Resealed struct {
	Key    string // that seals all secrets now
	Secret int    // how many there are
	Anew   int    // how many another key had sealed
}

// RotateSecrets seals all secrets with the newest key. After it no other key is
// needed, unless a control plane that has not read the newest one writes
// meanwhile; then the next call says so by its count. It is an admin's.
func (s *Service) RotateSecrets(ctx context.Context, actor Actor) (out Resealed, err error) {
	if err := s.Allow(actor, WriteSharedSecret); err != nil {
		return out, err
	}
	if s.Vault == nil {
		return out, errNoVault()
	}
	if out.Key, err = s.Vault.Key(); err != nil {
		return out, err
	}
	var ids []SecretID
	list := func(ctx context.Context, p Page) (List[*Secret], error) { return s.Store.Secrets(ctx, "", p) }
	if err := every(ctx, list, func(secret *Secret) { ids = append(ids, secret.ID()) }); err != nil {
		return out, err
	}
	out.Secret = len(ids)
	for _, id := range ids {
		anew, err := s.reseal(ctx, id)
		if err != nil {
			return out, fmt.Errorf("seal secret %s anew: %w", id, err)
		}
		if anew {
			out.Anew++
		}
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		s.auditRead(tx, actor, "secret.rotate", "secret/")
		return nil
	})
	return out, err
}

// reseal seals one secret with the newest key, if another has. What is gone or
// written meanwhile is well.
func (s *Service) reseal(ctx context.Context, id SecretID) (anew bool, err error) {
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		anew = false
		sealed, err := tx.SealedSecret(id)
		if CodeOf(err) == CodeNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		if current, err := s.Vault.Current(sealed); err != nil || current {
			return err
		}
		text, err := s.Vault.Unseal(sealed, id.sealedFor())
		if err != nil {
			return err
		}
		if sealed, err = s.Vault.Seal(text, id.sealedFor()); err != nil {
			return err
		}
		anew = true
		return tx.Put(&SealedSecret{ID: id, Sealed: sealed})
	})
	return anew, err
}
