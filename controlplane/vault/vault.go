package vault

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Vault is a controlplane.Vault with the keys of a file. It may be used by
// several goroutines.
type Vault struct {
	path string

	mu   sync.Mutex
	keys []Key
	aead tink.AEAD
	seen stamp
}

var _ controlplane.Vault = (*Vault)(nil)

// stamp tells whether a file is another than the one that was read. Who changes
// it replaces it.
type stamp struct {
	file     fs.FileInfo
	modified time.Time
	size     int64
}

func (s stamp) is(info fs.FileInfo) bool {
	return s.file != nil && os.SameFile(s.file, info) && s.modified.Equal(info.ModTime()) && s.size == info.Size()
}

// Open reads the keys.
func Open(path string) (*Vault, error) {
	v := &Vault{path: path}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.refresh(); err != nil {
		return nil, err
	}
	return v, nil
}

// refresh reads the file if it has changed. The mutex is held. Where that fails,
// the keys that were read before stay.
func (v *Vault) refresh() error {
	info, err := os.Stat(v.path)
	if err != nil {
		return fault(v.path, err)
	}
	if v.seen.is(info) {
		return nil
	}
	handle, err := read(v.path)
	if err != nil {
		return err
	}
	cipher, err := aead.New(handle)
	if err != nil {
		return unfit(v.path)
	}
	v.keys, v.aead, v.seen = keysOf(handle), cipher, stamp{info, info.ModTime(), info.Size()}
	return nil
}

// current is the cipher of the file as it is now. With stale the one that was
// read before will do where the file cannot be read any more: it opens what it
// opened, but seals nothing that could not be opened after a restart.
func (v *Vault) current(stale bool) (tink.AEAD, []Key, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.refresh(); err != nil && !stale {
		return nil, nil, err
	}
	return v.aead, v.keys, nil
}

// Seal implements controlplane.Vault.
func (v *Vault) Seal(text, use []byte) ([]byte, error) {
	cipher, _, err := v.current(false)
	if err != nil {
		return nil, err
	}
	sealed, err := cipher.Encrypt(text, use)
	if err != nil {
		return nil, fmt.Errorf("seal secret: %w", err)
	}
	return sealed, nil
}

// Unseal implements controlplane.Vault.
func (v *Vault) Unseal(sealed, use []byte) ([]byte, error) {
	cipher, keys, err := v.current(true)
	if err != nil {
		return nil, err
	}
	id, ok := keyOf(sealed)
	if ok && !slices.ContainsFunc(keys, func(k Key) bool { return k.ID == id }) {
		return nil, controlplane.Errorf(controlplane.CodeUnavailable, "it was sealed with key %s, which the file of keys %s does not hold", id, v.path).
			WithHint("give this control plane the file that holds it, perhaps from a backup")
	}
	text, err := cipher.Decrypt(sealed, use)
	if err != nil {
		return nil, controlplane.Errorf(controlplane.CodeUnavailable, "the file of keys %s does not open it: it was changed, or sealed for something else", v.path).
			WithHint("restore the store from a backup, or replace the secret's values")
	}
	return text, nil
}

// Current implements controlplane.Vault.
func (v *Vault) Current(sealed []byte) (bool, error) {
	primary, err := v.Key()
	if err != nil {
		return false, err
	}
	id, ok := keyOf(sealed)
	return ok && id == primary, nil
}

// Key implements controlplane.Vault.
func (v *Vault) Key() (string, error) {
	_, keys, err := v.current(false)
	if err != nil {
		return "", err
	}
	for _, k := range keys {
		if k.Primary {
			return k.ID, nil
		}
	}
	return "", unfit(v.path)
}

// keyOf is the number of the key that sealed it: Tink begins what it seals with
// a byte of 1 and that.
func keyOf(sealed []byte) (id string, ok bool) {
	const head = 5
	if len(sealed) < head || sealed[0] != 1 {
		return "", false
	}
	return name(binary.BigEndian.Uint32(sealed[1:head])), true
}
