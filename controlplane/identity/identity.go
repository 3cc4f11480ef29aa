// Package identity makes the credentials that Slipway issues, all of which
// begin with "slw_", and asks an OpenID provider who people are.
//
// What edges check by themselves is a [Pass], signed by a [Keyring]. All else is
// a random secret of which the store knows the hash.
//
// A [Provider] is spoken to by the authorization code flow with PKCE, state and
// nonce. Its refresh and ID tokens are kept sealed (see [Sealer]); a [Poller]
// asks it every 5 minutes whether sessions go on, and what roles people have.
package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// NewToken makes a personal token of 256 random bits or more.
func NewToken() string { return "slw_" + rand.Text() + rand.Text() }

// The secrets that browsers and command lines get for a while. Each kind has a
// beginning of its own, and is never taken for another.
func newSecret(kind string) string { return "slw_" + kind + "_" + rand.Text() + rand.Text() }

// NewSession makes the secret of a console session's cookie.
func NewSession() string { return newSecret("s") }

// NewTicket makes the secret of a one-time ticket to an instance.
func NewTicket() string { return newSecret("o") }

// NewLink makes the secret of a one-time link.
func NewLink() string { return newSecret("l") }

// NewDeviceCode makes what a command line asks for its token with.
func NewDeviceCode() string { return newSecret("d") }

// SessionID is what the store knows of a session's secret, and what passes name
// it by: 128 bits of its SHA-256, hexadecimal. Empty for what is no session's.
func SessionID(secret string) string {
	if !strings.HasPrefix(secret, "slw_s_") {
		return ""
	}
	return HashToken(secret)[:32]
}

// consonants make no words, and are not mistaken for digits (RFC 8628 §6.1).
const consonants = "BCDFGHJKLMNPQRSTVWXZ"

// NewUserCode makes what a person compares and types: 8 consonants, 34 bits.
func NewUserCode() string {
	code := make([]byte, 0, 8)
	for len(code) < cap(code) {
		var b [1]byte
		rand.Read(b[:])
		// 240 is a multiple of 20: each letter is as likely as another.
		if b[0] < 240 {
			code = append(code, consonants[int(b[0])%len(consonants)])
		}
	}
	return string(code)
}

// ShownUserCode is a user code as people read it: BCDF-GHJK.
func ShownUserCode(code string) string {
	if len(code) != 8 {
		return code
	}
	return code[:4] + "-" + code[4:]
}

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
	return instancePrefix + base64.RawURLEncoding.EncodeToString(mac.Sum([]byte(subject+".")))
}

const instancePrefix = "slw_i_"

// IsInstanceToken reports whether a credential says that it is an instance's.
func IsInstanceToken(token string) bool { return strings.HasPrefix(token, instancePrefix) }

// ReadInstanceToken returns whose token it is, and of which generation; false
// where nobody made it with this key.
func ReadInstanceToken(key []byte, token string) (instanceID string, generation int64, ok bool) {
	text, _ := strings.CutPrefix(token, instancePrefix)
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) <= sha256.Size {
		return "", 0, false
	}
	instanceID, count, found := strings.Cut(strings.TrimSuffix(string(raw[:len(raw)-sha256.Size]), "."), ".")
	generation, err = strconv.ParseInt(count, 10, 64)
	if err != nil || !found || !hmac.Equal([]byte(InstanceToken(key, instanceID, generation)), []byte(token)) {
		return "", 0, false
	}
	return instanceID, generation, true
}

// bundlePrefix begins the signatures of links to bundles, so that no log that
// leaves out Slipway's credentials has them.
const bundlePrefix = "slw_b_"

// SignBundleLink is the signature of a link to a bundle: HMAC-SHA256 of the
// method, the path and all that the link says.
func SignBundleLink(key []byte, l controlplane.BundleLink) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "GET\n/api/v1/bundles/%s\n%s\n%d\n%d\n", l.Digest, l.Instance, l.Generation, l.Expires.Unix())
	return bundlePrefix + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
