package identity_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

func TestNewToken(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		token := identity.NewToken()
		// rand.Text has 130 bits or more in 26 characters.
		if !strings.HasPrefix(token, "slw_") || len(token) < 4+52 || seen[token] {
			t.Errorf("token %q", token)
		}
		seen[token] = true
	}
}

func TestHashToken(t *testing.T) {
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, B.1
	if got := identity.HashToken("abc"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestInstanceToken(t *testing.T) {
	const id = "0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01"
	key := []byte(strings.Repeat("k", 32))
	token := identity.InstanceToken(key, id, 3)
	if again := identity.InstanceToken(key, id, 3); again != token {
		t.Errorf("the same start has the tokens %s and %s", token, again)
	}
	for name, other := range map[string]string{
		"generation": identity.InstanceToken(key, id, 4),
		"instance":   identity.InstanceToken(key, id[:35]+"2", 3),
		"key":        identity.InstanceToken([]byte(strings.Repeat("l", 32)), id, 3),
	} {
		if signature(t, other) == signature(t, token) {
			t.Errorf("another %s and the same signature", name)
		}
	}
	if !strings.HasPrefix(token, "slw_i_") || strings.ContainsAny(token, " +/=\n") {
		t.Errorf("token %q", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "slw_i_"))
	if err != nil || !strings.HasPrefix(string(raw), id+".3.") {
		t.Errorf("token of %q, %v", raw, err)
	}
}

func TestReadInstanceToken(t *testing.T) {
	const id = "0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01"
	key := []byte(strings.Repeat("k", 32))
	token := identity.InstanceToken(key, id, 3)
	if got, generation, ok := identity.ReadInstanceToken(key, token); got != id || generation != 3 || !ok {
		t.Errorf("%s, %d, %t", got, generation, ok)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "slw_i_"))
	if err != nil {
		t.Fatal(err)
	}
	other := []byte(strings.Replace(string(raw), ".3.", ".4.", 1))
	for name, forged := range map[string]string{
		"another key": identity.InstanceToken([]byte(strings.Repeat("l", 32)), id, 3), "another generation": "slw_i_" + base64.RawURLEncoding.EncodeToString(other),
		"cut": token[:len(token)-2], "longer": token + "AA", "without the prefix": strings.TrimPrefix(token, "slw_i_"), "nothing": "slw_i_", "no base64": "slw_i_!",
		"a personal token": identity.NewToken(), "spelled otherwise": token + "=",
	} {
		if _, _, ok := identity.ReadInstanceToken(key, forged); ok {
			t.Errorf("%s is taken", name)
		}
	}
}

// signature is the last 32 bytes of a token.
func signature(t *testing.T, token string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "slw_i_"))
	if err != nil || len(raw) < 32 {
		t.Fatalf("token %q: %v", token, err)
	}
	return string(raw[len(raw)-32:])
}
