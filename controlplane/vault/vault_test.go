package vault_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/vault"
)

var use = []byte("use")

func newFile(t *testing.T) (path string, key vault.Key) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "keys.json")
	key, err := vault.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, key
}

func open(t *testing.T, path string) *vault.Vault {
	t.Helper()
	v, err := vault.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func seal(t *testing.T, v *vault.Vault, text string) []byte {
	t.Helper()
	sealed, err := v.Seal([]byte(text), use)
	if err != nil || bytes.Contains(sealed, []byte(text)) {
		t.Fatalf("sealed %x, %v", sealed, err)
	}
	return sealed
}

func TestWhatIsSealedOpensForItsUseAlone(t *testing.T) {
	path, _ := newFile(t)
	v := open(t, path)
	sealed := seal(t, v, "text")
	if text, err := open(t, path).Unseal(sealed, use); err != nil || string(text) != "text" {
		t.Errorf("opens as %q, %v", text, err)
	}
	otherPath, _ := newFile(t)
	other := open(t, otherPath)
	for name, c := range map[string]struct {
		unseal func() ([]byte, error)
		says   string
	}{
		"another use":  {func() ([]byte, error) { return v.Unseal(sealed, []byte("other")) }, path},
		"changed":      {func() ([]byte, error) { return v.Unseal(append(bytes.Clone(sealed[:len(sealed)-1]), 0), use) }, path},
		"cut":          {func() ([]byte, error) { return v.Unseal(sealed[:3], use) }, path},
		"nothing":      {func() ([]byte, error) { return v.Unseal(nil, use) }, path},
		"other's keys": {func() ([]byte, error) { return other.Unseal(sealed, use) }, "which the file of keys " + otherPath + " does not hold"},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := c.unseal()
			if err == nil || controlplane.CodeOf(err) != controlplane.CodeUnavailable || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q, %v; want an error that says %q", text, err, c.says)
			}
		})
	}
}

func TestAKeyIsReplacedWhileTheVaultIsOpen(t *testing.T) {
	path, first := newFile(t)
	v := open(t, path)
	old := seal(t, v, "old")
	standby, err := vault.Add(path, true)
	if err != nil || standby.Primary {
		t.Fatalf("%+v, %v", standby, err)
	}
	if key, err := v.Key(); err != nil || key != first.ID {
		t.Errorf("with another that stands by, key %s seals, %v", key, err)
	}
	if err := vault.Remove(path, first.ID); controlplane.CodeOf(err) != controlplane.CodeConflict {
		t.Errorf("the primary is removed: %v", err)
	}
	if err := vault.Promote(path, standby.ID); err != nil {
		t.Fatal(err)
	}
	if current, err := v.Current(old); err != nil || current {
		t.Errorf("the old key's is current: %v, %v", current, err)
	}
	if text, err := v.Unseal(old, use); err != nil || string(text) != "old" {
		t.Errorf("the old key's opens as %q, %v", text, err)
	}
	sealed := seal(t, v, "new")
	if current, err := v.Current(sealed); err != nil || !current {
		t.Errorf("the new key's is current: %v, %v", current, err)
	}
	if err := vault.Remove(path, first.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Unseal(old, use); err == nil || !strings.Contains(err.Error(), first.ID) {
		t.Errorf("a removed key opens: %v", err)
	}
	third, err := vault.Add(path, false)
	if err != nil || !third.Primary {
		t.Fatalf("%+v, %v", third, err)
	}
	if keys, err := vault.Keys(path); err != nil || len(keys) != 2 {
		t.Errorf("keys %+v, %v", keys, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	for name, err := range map[string]error{"promote": vault.Promote(path, "17"), "remove": vault.Remove(path, first.ID)} {
		if controlplane.CodeOf(err) != controlplane.CodeNotFound {
			t.Errorf("%s what is not there: %v", name, err)
		}
	}
}

// Each of them may have sealed something already.
func TestNoneOfTheKeysThatAreAddedAtOnceIsLost(t *testing.T) {
	path, _ := newFile(t)
	const adders = 8
	var adding sync.WaitGroup
	for range adders {
		adding.Go(func() {
			if _, err := vault.Add(path, false); err != nil {
				t.Error(err)
			}
		})
	}
	adding.Wait()
	if keys, err := vault.Keys(path); err != nil || len(keys) != 1+adders {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

// What is open goes on opening where its file is gone, and seals nothing that
// could not be opened after a restart.
func TestALostFile(t *testing.T) {
	path, _ := newFile(t)
	v := open(t, path)
	sealed := seal(t, v, "text")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if text, err := v.Unseal(sealed, use); err != nil || string(text) != "text" {
		t.Errorf("opens as %q, %v", text, err)
	}
	if _, err := v.Seal([]byte("x"), use); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("seals: %v", err)
	}
	if _, err := v.Key(); err == nil {
		t.Error("names a key")
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	whole := func(t *testing.T) string {
		path, _ := newFile(t)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, c := range map[string]struct {
		text func(string) string
		mode os.FileMode
		says string
	}{
		"empty":            {func(string) string { return "" }, 0o600, "is not a file of keys"},
		"no JSON":          {func(string) string { return "secret: x" }, 0o600, "is not a file of keys"},
		"cut":              {func(s string) string { return s[:len(s)/2] }, 0o600, "is not a file of keys"},
		"without keys":     {func(string) string { return `{"primaryKeyId":1,"key":[]}` }, 0o600, "is not a file of keys"},
		"a disabled key":   {func(s string) string { return strings.Replace(s, "ENABLED", "DISABLED", 1) }, 0o600, "is not a file of keys"},
		"large":            {func(s string) string { return s + strings.Repeat(" ", 2<<20) }, 0o600, "is not a file of keys"},
		"open to everyone": {func(s string) string { return s }, 0o604, "is open to all users"},
		"open to a group":  {func(s string) string { return s }, 0o640, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys.json")
			if err := os.WriteFile(path, []byte(c.text(whole(t))), c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := vault.Open(path)
			switch {
			case c.says == "" && err != nil:
				t.Error(err)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path)):
				t.Errorf("%v, want %q with the file's name", err, c.says)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys.json")
		if _, err := vault.Open(path); err == nil || !strings.Contains(err.Error(), "there is no file of keys "+path) {
			t.Error(err)
		}
		if _, err := vault.Add(path, false); err == nil {
			t.Error("a key is added to nothing")
		}
	})
	t.Run("one that is there is not replaced", func(t *testing.T) {
		path, _ := newFile(t)
		before, _ := os.ReadFile(path)
		if _, err := vault.Create(path); controlplane.CodeOf(err) != controlplane.CodeConflict {
			t.Error(err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			t.Errorf("it has changed, %v", err)
		}
	})
}
