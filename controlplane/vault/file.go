package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Key is one key of a file, as people may see it.
type Key struct {
	ID      string
	Primary bool // seals what is new
}

// Create makes a file with one key. The error is CodeConflict where there is a
// file already: its keys may be all that opens the secrets of a store.
func Create(path string) (Key, error) {
	m := keyset.NewManager()
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err == nil {
		err = m.SetPrimary(id)
	}
	if err != nil {
		return Key{}, fmt.Errorf("make key: %w", err)
	}
	text, err := encode(m)
	if err != nil {
		return Key{}, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return Key{}, controlplane.Errorf(controlplane.CodeConflict, "%s is there already", path).
			WithHint("slipway secret-keys add %s adds a key to it; whoever replaces it loses the secrets that its keys have sealed", path)
	}
	if err != nil {
		return Key{}, fault(path, err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = syncFolder(path)
	}
	if err != nil {
		return Key{}, errors.Join(fault(path, err), os.Remove(path))
	}
	return Key{ID: name(id), Primary: true}, nil
}

// Keys are the keys of a file, in its order.
func Keys(path string) ([]Key, error) {
	handle, err := read(path)
	if err != nil {
		return nil, err
	}
	return keysOf(handle), nil
}

func keysOf(h *keyset.Handle) (keys []Key) {
	info := h.KeysetInfo()
	for _, k := range info.GetKeyInfo() {
		keys = append(keys, Key{ID: name(k.GetKeyId()), Primary: k.GetKeyId() == info.GetPrimaryKeyId()})
	}
	return keys
}

// Add adds a key to a file. It becomes the primary, unless it is to stand by
// until all control planes have it.
func Add(path string, standby bool) (added Key, err error) {
	err = edit(path, func(m *keyset.Manager, _ []Key) error {
		id, err := m.Add(aead.AES256GCMKeyTemplate())
		if err == nil && !standby {
			err = m.SetPrimary(id)
		}
		added = Key{ID: name(id), Primary: !standby}
		return err
	})
	return added, err
}

// Promote makes a key of the file its primary.
func Promote(path, key string) error {
	return edit(path, func(m *keyset.Manager, keys []Key) error {
		id, _, err := find(path, keys, key)
		if err != nil {
			return err
		}
		return m.SetPrimary(id)
	})
}

// Remove takes a key that is not the primary out of the file. What only that key
// has sealed is lost.
func Remove(path, key string) error {
	return edit(path, func(m *keyset.Manager, keys []Key) error {
		id, found, err := find(path, keys, key)
		if err != nil {
			return err
		}
		if found.Primary {
			return controlplane.Errorf(controlplane.CodeConflict, "key %s of %s seals what is new", key, path).
				WithHint("make another one the primary first: slipway secret-keys add %s", path)
		}
		return m.Delete(id)
	})
}

func find(path string, keys []Key, wanted string) (uint32, Key, error) {
	for _, k := range keys {
		if k.ID == wanted {
			id, err := strconv.ParseUint(k.ID, 10, 32)
			return uint32(id), k, err
		}
	}
	return 0, Key{}, controlplane.Errorf(controlplane.CodeNotFound, "%s holds no key %s", path, wanted).
		WithHint("slipway secret-keys list %s shows its keys", path)
}

func name(id uint32) string { return strconv.FormatUint(uint64(id), 10) }

// edit changes a file: whole, or not at all. Of several at once, each changes
// what the one before has left: a key that is lost may have sealed something.
func edit(path string, change func(*keyset.Manager, []Key) error) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fault(path, err)
	}
	defer dir.Close()
	awaitLock(dir)
	handle, err := read(path)
	if err != nil {
		return err
	}
	m := keyset.NewManagerFromHandle(handle)
	if err := change(m, keysOf(handle)); err != nil {
		return err
	}
	text, err := encode(m)
	if err != nil {
		return err
	}
	before, err := os.Stat(path)
	if err != nil {
		return fault(path, err)
	}
	// Of the same owner and mode: it is the control plane's to read.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fault(path, err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(before.Mode().Perm()), keepOwner(f, before), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fault(path, err), os.Remove(f.Name()))
	}
	return dir.Sync()
}

func syncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func encode(m *keyset.Manager) ([]byte, error) {
	handle, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("make keys: %w", err)
	}
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		return nil, fmt.Errorf("encode keys: %w", err)
	}
	text.WriteByte('\n')
	return text.Bytes(), nil
}

// maxFile is the size of the largest file, in bytes.
const maxFile = 1 << 20

// read reads a file of keys. Nobody else may read it.
func read(path string) (*keyset.Handle, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault(path, err)
	}
	switch {
	case !info.Mode().IsRegular() || info.Size() > maxFile:
		return nil, unfit(path)
	case info.Mode().Perm()&0o007 != 0:
		return nil, controlplane.Errorf(controlplane.CodeUnavailable, "the file of keys %s is open to all users of this machine", path).
			WithHint("close it with: chmod 600 %s", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fault(path, err)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		return nil, unfit(path) // tink's words could repeat a part of the file
	}
	for _, k := range handle.KeysetInfo().GetKeyInfo() {
		if k.GetOutputPrefixType() != tinkpb.OutputPrefixType_TINK || k.GetStatus() != tinkpb.KeyStatusType_ENABLED {
			return nil, unfit(path)
		}
	}
	return handle, nil
}

func fault(path string, err error) error {
	e := &controlplane.Error{Code: controlplane.CodeUnavailable, What: fmt.Sprintf("the file of keys %s cannot be used", path), Cause: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.What = fmt.Sprintf("there is no file of keys %s", path)
		return e.WithHint("restore it from its backup: it alone opens the secrets of the store; a first one is made by: slipway secret-keys create %s", path)
	case errors.Is(err, fs.ErrPermission):
		return e.WithHint("it is to be owned by the user of the control plane, with mode 600")
	}
	return e
}

func unfit(path string) error {
	return controlplane.Errorf(controlplane.CodeUnavailable, "%s is not a file of keys for secrets", path).
		WithHint("restore it from its backup; slipway secret-keys create makes one")
}
