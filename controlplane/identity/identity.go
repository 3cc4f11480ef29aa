// Package identity makes the credentials that Slipway issues. All of them
// begin with "slw_".
package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// NewToken makes a personal token of 256 random bits or more.
func NewToken() string { return "slw_" + rand.Text() + rand.Text() }

// NewID makes the ID of a token, by which it is listed and revoked.
func NewID() string { return strings.ToLower(rand.Text()[:16]) }

// HashToken is what the store knows of a personal token: its SHA-256,
// hexadecimal. The token is random, so that no salt is needed.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// InstanceToken is an instance's own token for one generation. It is derived,
// not stored: the same start, repeated after a crash of the control plane,
// gets the same token, and the next generation another one.
func InstanceToken(key []byte, instanceID string, generation int64) string {
	subject := fmt.Sprintf("%s.%d", instanceID, generation)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(subject))
	return "slw_i_" + base64.RawURLEncoding.EncodeToString(mac.Sum([]byte(subject+".")))
}
