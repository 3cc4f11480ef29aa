package identity_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

// keys is an identity.KeyStore in memory: what two control planes share.
type keys struct {
	mu   sync.Mutex
	list []controlplane.SigningKey
}

func (k *keys) PassKeys(_ context.Context, change func([]controlplane.SigningKey) []controlplane.SigningKey) ([]controlplane.SigningKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = change(k.list)
	return k.list, nil
}

// find is what an edge knows of the keys.
func (k *keys) find(kid string) ed25519.PublicKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range k.list {
		if key.ID == kid {
			return ed25519.NewKeyFromSeed(key.Seed).Public().(ed25519.PublicKey)
		}
	}
	return nil
}

// clock is set by tests.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func ring(t testing.TB) (*identity.Keyring, *keys, *clock) {
	t.Helper()
	store, c := new(keys), &clock{time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)}
	k, err := identity.NewKeyring(t.Context(), store, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return k, store, c
}

var ada = controlplane.Actor{User: "ada", Email: "ada@example.com", Full: true, Roles: []string{"a", "b"}, Credential: "s1", Epoch: 3}

func TestAPassIsReadAsItWasSigned(t *testing.T) {
	k, store, c := ring(t)
	holder := ada
	holder.Until = c.at.Add(time.Hour)
	text, expires, err := k.Issue(&holder, "instance", false)
	if err != nil || !strings.HasPrefix(text, "slw_p_") || !expires.Equal(c.at.Add(identity.PassLife)) {
		t.Fatalf("%q, %v, %v", text, expires, err)
	}
	p, err := identity.ReadPass(text, store.find)
	if err != nil {
		t.Fatal(err)
	}
	a := p.Actor()
	if a.User != "ada" || a.Email != "ada@example.com" || a.Admin || !a.Full || len(a.Roles) != 2 || a.Credential != "s1" || a.Epoch != 3 || !a.Until.Equal(holder.Until) ||
		p.Instance != "instance" || p.Use != identity.PassCookie {
		t.Errorf("pass %+v", p)
	}
	for after, want := range map[time.Duration][2]bool{ // alive, aging
		-31 * time.Second: {false, false}, -30 * time.Second: {true, false}, 0: {true, false}, 7 * time.Minute: {true, false}, 8 * time.Minute: {true, true},
		15*time.Minute - time.Second: {true, true}, 15 * time.Minute: {false, true},
	} {
		if at := c.at.Add(after); p.Alive(at) != want[0] || p.Aging(at) != want[1] {
			t.Errorf("after %v: alive %v, aging %v", after, p.Alive(at), p.Aging(at))
		}
	}
	c.at = c.at.Add(identity.PassLife)
	if _, _, err := k.Holder(text); err == nil {
		t.Error("a pass that is over has a holder")
	}
}

func TestForgedPassesAreRefusedInOneWay(t *testing.T) {
	k, store, c := ring(t)
	holder := ada
	holder.Until = c.at.Add(time.Hour)
	good, _, err := k.Issue(&holder, "instance", false)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(strings.TrimPrefix(good, "slw_p_"), ".")
	seed := store.list[0]
	private := ed25519.NewKeyFromSeed(seed.Seed)
	sign := func(alg jose.SignatureAlgorithm, key any, kid, typ, payload string) string {
		o := new(jose.SignerOptions).WithHeader("kid", kid)
		if typ != "" {
			o = o.WithType(jose.ContentType(typ))
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign([]byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		text, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return "slw_p_" + text
	}
	const typ, payload = "slipway-pass+jwt", `{"aud":"i","sub":"ada","sid":"s"}`
	if _, err := identity.ReadPass(sign(jose.EdDSA, private, seed.ID, typ, payload), store.find); err != nil {
		t.Fatalf("the forger's own way is wrong: %v", err)
	}
	_, foreign, _ := ed25519.GenerateKey(nil)
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"` + seed.ID + `","typ":"` + typ + `"}`))
	said := map[string]bool{}
	for name, text := range map[string]string{
		"nothing": "", "a personal token": identity.NewToken(), "the prefix": "slw_p_", "no prefix": strings.TrimPrefix(good, "slw_p_"), "two parts": "slw_p_" + parts[0] + "." + parts[1],
		"no signature":       "slw_p_" + parts[0] + "." + parts[1] + ".",
		"another payload":    "slw_p_" + parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + parts[2],
		"alg none":           "slw_p_" + none + "." + parts[1] + ".",
		"alg none, signed":   "slw_p_" + none + "." + parts[1] + "." + parts[2],
		"HS256 by the key":   sign(jose.HS256, []byte(private.Public().(ed25519.PublicKey)), seed.ID, typ, payload),
		"another key":        sign(jose.EdDSA, foreign, seed.ID, typ, payload),
		"an unknown key":     sign(jose.EdDSA, foreign, "x", typ, payload),
		"no key":             sign(jose.EdDSA, private, "", typ, payload),
		"another type":       sign(jose.EdDSA, private, seed.ID, "JWT", payload),
		"no type":            sign(jose.EdDSA, private, seed.ID, "", payload),
		"nobody":             sign(jose.EdDSA, private, seed.ID, typ, `{"aud":"i","sid":"s"}`),
		"no instance":        sign(jose.EdDSA, private, seed.ID, typ, `{"sub":"ada","sid":"s"}`),
		"no credential":      sign(jose.EdDSA, private, seed.ID, typ, `{"aud":"i","sub":"ada"}`),
		"no object":          sign(jose.EdDSA, private, seed.ID, typ, `[]`),
		"a JSON signature":   `slw_p_{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"longer than cookie": good + strings.Repeat("A", 4096),
	} {
		p, err := identity.ReadPass(text, store.find)
		if err == nil {
			t.Errorf("%s: %+v", name, p)
			continue
		}
		said[err.Error()] = true
	}
	if len(said) != 1 {
		t.Errorf("it is told why: %v", said)
	}
}

func FuzzReadPass(f *testing.F) {
	k, store, c := ring(f)
	holder := ada
	holder.Until = c.at.Add(time.Hour)
	good, _, err := k.Issue(&holder, "instance", false)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{good, "", "slw_p_", "slw_p_..", good[:len(good)-1], strings.Replace(good, ".", "..", 1), "slw_p_{}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := identity.ReadPass(text, store.find)
		switch {
		case err != nil && p != nil:
			t.Errorf("%q: %+v and %v", text, p, err)
		// Whatever is taken says what was signed: base64 has spellings.
		case err == nil && (p.User != "ada" || p.Instance != "instance" || p.Credential != "s1"):
			t.Errorf("%q: %+v", text, p)
		}
	})
}

func TestKeysRotateAheadOfTheirUse(t *testing.T) {
	k, store, c := ring(t)
	other, err := identity.NewKeyring(t.Context(), store, c.now)
	if err != nil || len(store.list) != 1 {
		t.Fatalf("%d keys, %v", len(store.list), err)
	}
	holder := ada
	issue := func() string {
		t.Helper()
		holder.Until = c.at.Add(time.Hour)
		text, _, err := k.Issue(&holder, "i", true)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	kid := func(text string) (id string) {
		_, _ = identity.ReadPass(text, func(kid string) ed25519.PublicKey { id = kid; return nil })
		return id
	}
	first := store.list[0].ID
	c.at = c.at.Add(24 * time.Hour)
	old := issue()
	if err := k.Rotate(t.Context()); err != nil || len(store.list) != 2 {
		t.Fatalf("%d keys, %v", len(store.list), err)
	}
	c.at = c.at.Add(59 * time.Second)
	if id := kid(issue()); id != first {
		t.Errorf("signed by %s before edges know it", id)
	}
	c.at = c.at.Add(time.Second)
	if id := kid(issue()); id != store.list[1].ID {
		t.Errorf("signed by %s", id)
	}
	// The other control plane makes no third one, and reads what ours signs.
	if err := other.Rotate(t.Context()); err != nil || len(store.list) != 2 {
		t.Errorf("%d keys, %v", len(store.list), err)
	}
	for _, text := range []string{old, issue()} {
		if _, err := other.Read(text); err != nil {
			t.Error(err)
		}
	}
	c.at = c.at.Add(time.Hour)
	if err := k.Rotate(t.Context()); err != nil || len(store.list) != 1 || store.list[0].ID == first {
		t.Errorf("%d keys, %v", len(store.list), err)
	}
	if _, err := k.Read(old); err == nil {
		t.Error("a key that is gone reads")
	}
}

func TestAPassFitsACookie(t *testing.T) {
	k, _, c := ring(t)
	holder := ada
	holder.Until = c.at.Add(time.Hour)
	holder.Roles = []string{strings.Repeat("r", 4000)}
	if text, _, err := k.Issue(&holder, "i", false); err == nil {
		t.Errorf("a pass of %d bytes", len(text))
	}
	holder.User, holder.Email, holder.Roles = strings.Repeat("u", 100), strings.Repeat("ü", 200), []string{strings.Repeat("r", 1500)}
	if _, _, err := k.Issue(&holder, strings.Repeat("i", 36), false); err != nil {
		t.Error(err)
	}
}

func TestUserCodes(t *testing.T) {
	seen := map[byte]bool{}
	for range 200 {
		code := identity.NewUserCode()
		if len(code) != 8 || strings.Trim(code, "BCDFGHJKLMNPQRSTVWXZ") != "" || controlplane.NormalUserCode(strings.ToLower(identity.ShownUserCode(code))) != code {
			t.Errorf("code %q", code)
		}
		for i := range len(code) {
			seen[code[i]] = true
		}
	}
	if len(seen) != 20 {
		t.Errorf("only %d letters", len(seen))
	}
	if identity.SessionID(identity.NewToken()) != "" || len(identity.SessionID(identity.NewSession())) != 32 {
		t.Error("session IDs")
	}
}
