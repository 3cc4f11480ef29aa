package identity

import (
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
)

// Sealer encrypts what the control planes keep for themselves: the provider's
// tokens in the store, the state of a sign-in in a browser.
type Sealer struct {
	aead *subtle.XChaCha20Poly1305
}

// NewSealer makes a sealer with a key of 32 bytes.
func NewSealer(key []byte) (*Sealer, error) {
	aead, err := subtle.NewXChaCha20Poly1305(key)
	if err != nil {
		return nil, fmt.Errorf("make sealer: %w", err)
	}
	return &Sealer{aead}, nil
}

// Seal encrypts a text for one use, so that it is taken for nothing else.
func (s *Sealer) Seal(use string, text []byte) ([]byte, error) {
	sealed, err := s.aead.Encrypt(text, []byte(use))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", use, err)
	}
	return sealed, nil
}

// errSealed is all that is told of what does not open.
var errSealed = errors.New("it was not sealed here, or not for this")

// Open returns what was sealed for this use.
func (s *Sealer) Open(use string, sealed []byte) ([]byte, error) {
	text, err := s.aead.Decrypt(sealed, []byte(use))
	if err != nil {
		return nil, errSealed
	}
	return text, nil
}
