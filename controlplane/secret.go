package controlplane

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// AppWide is the visibility of a secret that belongs to the apps of one name.
// Apps and instances never have it.
const AppWide Visibility = "APP"

// SecretID says which secret is meant (spec apps.md §6). Owner is a part of it
// for PRIVATE secrets alone, Parent for those of an app.
type SecretID struct {
	Visibility Visibility // PRIVATE, ALL_USERS or APP
	Owner      string     // of a PRIVATE one
	Parent     string     // of an APP one: "app:" and the app's name
	Name       string
}

// String is how messages and the audit call it: PRIVATE/ada/database.
func (id SecretID) String() string {
	parts := []string{string(id.Visibility), id.Owner, id.Parent, id.Name}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "/")
}

// command is the command line's for a secret.
func (id SecretID) command(verb string) string {
	switch id.Visibility {
	case AllUsers:
		return "slipway admin secret " + verb + " " + id.Name
	case AppWide:
		return "slipway admin secret " + verb + " " + id.Name + " --parent " + id.Parent
	}
	return "slipway secret " + verb + " " + id.Name
}

// Secret is what is known of a secret: all but its values.
type Secret struct {
	Name       string     `json:"name"`
	Visibility Visibility `json:"visibility"`
	Parent     string     `json:"parent,omitempty"`
	Owner      string     `json:"owner"` // who created it
	Keys       []string   `json:"keys"`  // sorted
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`

	// NotText are those of Keys whose values no variable can hold. A secret that
	// was written by a version that did not note it has none.
	NotText []string `json:"not_text,omitempty"`

	// Revision is as of an App.
	Revision int64 `json:"-"`
}

// ID is which secret it is.
func (s *Secret) ID() SecretID {
	id := SecretID{Visibility: s.Visibility, Parent: s.Parent, Name: s.Name}
	if s.Visibility == Private {
		id.Owner = s.Owner
	}
	return id
}

// SealedSecret is the values of a secret as they are stored.
type SealedSecret struct {
	ID     SecretID
	Sealed []byte // by a Vault
}

// sealedFor is what the values of a secret are sealed for, so that those of one
// secret are not taken for another's.
func (id SecretID) sealedFor() []byte {
	return []byte(strings.Join([]string{
		"slipway secret", string(id.Visibility), strings.ToLower(id.Owner), strings.ToLower(id.Parent), id.Name,
	}, "\x00"))
}

// SecretValues are the values of a secret, by key. It is never stored, listed
// or logged: formatting it tells how many there are, and encoding it fails.
type SecretValues map[string][]byte

var (
	_ fmt.Formatter = SecretValues(nil)
	_ fmt.Stringer  = SecretValues(nil)
)

// String implements fmt.Stringer.
func (v SecretValues) String() string { return fmt.Sprintf("(%d secret values)", len(v)) }

// Format implements fmt.Formatter for all verbs.
func (v SecretValues) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(v.String())) }

// MarshalJSON implements json.Marshaler.
func (SecretValues) MarshalJSON() ([]byte, error) {
	return nil, errors.New("the values of a secret are not to be encoded")
}

// Keys are the names of the values, sorted.
func (v SecretValues) Keys() []string {
	keys := make([]string, 0, len(v))
	for key := range v {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// notText are the keys of the values that no variable can hold, sorted.
func (v SecretValues) notText() (keys []string) {
	for _, key := range v.Keys() {
		if !isText(v[key]) {
			keys = append(keys, key)
		}
	}
	return keys
}

// isText reports whether a variable can hold a value.
func isText(value []byte) bool { return utf8.Valid(value) && bytes.IndexByte(value, 0) < 0 }

// Vault seals the values of secrets with keys that are not in the store.
type Vault interface {
	// Seal encrypts a text for one use. An error is an *Error that names where
	// the keys are.
	Seal(text, use []byte) ([]byte, error)
	// Unseal returns what was sealed for that use, by any of the keys.
	Unseal(sealed, use []byte) ([]byte, error)
	// Current reports whether the key that is used for new values sealed it.
	Current(sealed []byte) (bool, error)
	// Key names the key that is used for new values.
	Key() (string, error)
}

// The limits of a secret. Names and keys are Kubernetes', as the App Store's
// are; the size stays far below what etcd takes at once (1.5 MiB).
const (
	maxSecretKeys  = 64
	maxSecretBytes = 64 << 10 // of all keys and values together
	maxSecretName  = 63
	maxSecretKey   = 253
)

var (
	secretName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	secretKey  = regexp.MustCompile(`^[-_.A-Za-z0-9]+$`)
	parentName = regexp.MustCompile(`^app:([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$`)
)

// ValidSecretName reports whether a secret can have that name.
func ValidSecretName(name string) bool {
	return len(name) <= maxSecretName && secretName.MatchString(name)
}

// ValidSecretKey reports whether a value of a secret can have that key.
func ValidSecretKey(key string) bool {
	return len(key) <= maxSecretKey && secretKey.MatchString(key)
}

// How names and keys of secrets look, for hints.
const (
	SecretNameRule = "a name has up to 63 lower-case letters and digits, with hyphens and dots between them, such as database.prod"
	SecretKeyRule  = "a key has up to 253 letters, digits, hyphens, underscores and dots"
)

const maxParent = len("app:") + 63

// check refuses what cannot be the ID of a secret.
func (id SecretID) check() error {
	switch {
	case !ValidSecretName(id.Name):
		return Errorf(CodeInvalid, "%q is not the name of a secret", cut(id.Name)).WithHint(SecretNameRule)
	case id.Visibility != Private && id.Visibility != AllUsers && id.Visibility != AppWide:
		return Errorf(CodeInvalid, "a secret cannot have the visibility %q", cut(string(id.Visibility))).
			WithHint("use PRIVATE, ALL_USERS or, with a parent, APP")
	case id.Visibility != AppWide && id.Parent != "":
		return Errorf(CodeInvalid, "a secret that is %s has no parent", id.Visibility).WithHint("only APP secrets have one")
	case id.Visibility == AppWide && id.Parent == "":
		return Errorf(CodeInvalid, "an APP secret has a parent, the app that it is for, and none is given").
			WithHint("admins give it: slipway admin secret with --parent app:NAME")
	case id.Visibility == AppWide && (len(id.Parent) > maxParent || !parentName.MatchString(id.Parent)):
		return Errorf(CodeInvalid, "%q is not the parent of an APP secret", cut(id.Parent)).
			WithHint("it is app: and the name of the app, such as app:ai.example.forecast")
	}
	return nil
}

// check refuses values that are too many, too large or badly named. It tells
// keys, and nothing of the values.
func (v SecretValues) check() error {
	size := 0
	folded := map[string]string{}
	for _, key := range v.Keys() {
		size += len(key) + len(v[key])
		if !ValidSecretKey(key) {
			return Errorf(CodeInvalid, "%q is not the key of a secret's value", cut(key)).WithHint(SecretKeyRule)
		}
		if twin, ok := folded[strings.ToLower(key)]; ok {
			return Errorf(CodeInvalid, "the keys %s and %s differ by capitals alone", twin, key).WithHint("give them different names")
		}
		folded[strings.ToLower(key)] = key
	}
	switch {
	case len(v) == 0:
		return Errorf(CodeInvalid, "a secret has at least one key").WithHint("give KEY=VALUE, or delete the secret")
	case len(v) > maxSecretKeys:
		return Errorf(CodeInvalid, "%d keys are more than a secret may have: %d", len(v), maxSecretKeys).WithHint("make several secrets of it")
	case size > maxSecretBytes:
		return Errorf(CodeTooLarge, "the keys and values have %d bytes, and a secret may have %d", size, maxSecretBytes).
			WithHint("make several secrets of it; large files belong into the bundle or a volume")
	}
	return nil
}

// cut bounds what an error repeats of an input.
func cut(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	for n := most; ; n-- {
		if utf8.RuneStart(s[n]) {
			return s[:n] + "…"
		}
	}
}
