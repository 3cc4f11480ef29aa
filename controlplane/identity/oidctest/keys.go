package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// Signature is how a token is signed.
type Signature int

// The signatures. Only the first is good.
const (
	Signed     Signature = iota // by the provider's key
	UnknownKey                  // by a key of a kid that the provider does not have
	ForgedKey                   // by another key, under the kid of the provider's
	Unsigned                    // alg none, and no signature
)

type signingKey struct {
	id  string
	alg jose.SignatureAlgorithm
	key crypto.Signer
}

// spare are the RSA keys of providers that have ended: making one takes long,
// and no two providers of the same time have the same.
var spare struct {
	sync.Mutex
	keys []*rsa.PrivateKey
}

func (p *Provider) newKey() (k signingKey, err error) {
	k.id = rand.Text()[:8]
	if p.config.ES256 {
		k.alg = jose.ES256
		k.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		return k, err
	}
	k.alg = jose.RS256
	spare.Lock()
	defer spare.Unlock()
	var key *rsa.PrivateKey
	if last := len(spare.keys) - 1; last >= 0 {
		key, spare.keys = spare.keys[last], spare.keys[:last]
	} else if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return k, err
	}
	p.rsaKeys = append(p.rsaKeys, key)
	k.key = key
	return k, nil
}

// giveBack lets later providers have the keys of this one, which has ended.
func (p *Provider) giveBack() {
	spare.Lock()
	defer spare.Unlock()
	spare.keys, p.rsaKeys = append(spare.keys, p.rsaKeys...), nil
}

// RotateKeys signs with a new key from now on. To forget is to publish the new
// one alone, so that older tokens are good no more.
func (p *Provider) RotateKeys(forget bool) {
	k, err := p.newKey()
	if err != nil {
		p.t.Errorf("make key: %v", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if forget {
		p.keys = nil
	}
	p.keys = append(p.keys, k)
}

func (p *Provider) signingKey() signingKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[len(p.keys)-1]
}

// sign makes a JWT with this typ.
func (p *Provider) sign(claims map[string]any, typ string, how Signature) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("write claims: %w", err)
	}
	if how == Unsigned {
		header := fmt.Sprintf(`{"alg":"none","typ":%q}`, typ)
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload) + ".", nil
	}
	k := p.signingKey()
	if how != Signed {
		other, err := p.foreignKey()
		if err != nil {
			return "", fmt.Errorf("make key: %w", err)
		}
		other.id = rand.Text()[:8]
		if how == ForgedKey {
			other.id = k.id
		}
		k = other
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.alg, Key: jose.JSONWebKey{Key: k.key, KeyID: k.id}},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	token, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token.CompactSerialize()
}

// showKeys answers with the keys that are published.
func (p *Provider) showKeys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	set := p.published()
	p.mu.Unlock()
	writeJSON(w, set)
}

// published needs p.mu.
func (p *Provider) published() (set jose.JSONWebKeySet) {
	for _, k := range p.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.key.Public(), KeyID: k.id, Algorithm: string(k.alg), Use: "sig"})
	}
	return set
}

// readHint reads an ID token that the provider has made, expired or not, and
// nil if it has not, or not with a key of today.
func (p *Provider) readHint(token string) map[string]any {
	parsed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return nil
	}
	p.mu.Lock()
	set := p.published()
	p.mu.Unlock()
	payload, err := parsed.Verify(set)
	if err != nil {
		return nil
	}
	var claims map[string]any
	if json.Unmarshal(payload, &claims) != nil || claims["iss"] != p.issuer {
		return nil
	}
	return claims
}
