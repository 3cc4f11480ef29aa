package identity_test

import (
	"bytes"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

func TestWhatIsSealedOpensForItsUseAlone(t *testing.T) {
	s, err := identity.NewSealer(bytes.Repeat([]byte("k"), 32))
	other, err2 := identity.NewSealer(bytes.Repeat([]byte("l"), 32))
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	sealed, err := s.Seal("one", []byte("text"))
	again, err2 := s.Seal("one", []byte("text"))
	if err != nil || err2 != nil || bytes.Equal(sealed, again) || bytes.Contains(sealed, []byte("text")) {
		t.Fatalf("%x, %x, %v, %v", sealed, again, err, err2)
	}
	if text, err := s.Open("one", sealed); err != nil || string(text) != "text" {
		t.Errorf("opens as %q, %v", text, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another use": func() ([]byte, error) { return s.Open("two", sealed) },
		"another key": func() ([]byte, error) { return other.Open("one", sealed) },
		"changed":     func() ([]byte, error) { return s.Open("one", append([]byte{sealed[0] ^ 1}, sealed[1:]...)) },
		"cut":         func() ([]byte, error) { return s.Open("one", sealed[:10]) },
		"nothing":     func() ([]byte, error) { return s.Open("one", nil) },
	} {
		if text, err := open(); err == nil {
			t.Errorf("%s: opens as %q", name, text)
		}
	}
	for _, key := range [][]byte{nil, make([]byte, 16), make([]byte, 33)} {
		if _, err := identity.NewSealer(key); err == nil {
			t.Errorf("a key of %d bytes is taken", len(key))
		}
	}
}
