package identity

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// PassLife is how long a pass is good for: for so long a right that ends is
// still had at an edge that is cut off from the store (spec access.md §6).
const PassLife = 15 * time.Minute

// PassUse says in what way a pass comes.
type PassUse string

// The uses. One is never taken for the other.
const (
	PassCookie PassUse = "cookie" // of a browser, on an instance's host
	PassBearer PassUse = "bearer" // of an API client
)

// Pass is what an edge checks by itself: who may come to one instance, with
// the rights of the moment when it was issued.
type Pass struct {
	Use        PassUse  `json:"use"`
	Instance   string   `json:"aud"` // ID of the one instance that it is good for
	User       string   `json:"sub"`
	Email      string   `json:"email,omitempty"`
	Admin      bool     `json:"admin,omitempty"`
	Full       bool     `json:"full,omitempty"`
	Roles      []string `json:"roles,omitempty"`
	Credential string   `json:"sid"` // the session or token that it was issued for
	Epoch      int64    `json:"epoch,omitempty"`
	IssuedAt   int64    `json:"iat"`   // seconds since the epoch, as all times here
	Expires    int64    `json:"exp"`   // at most PassLife later
	Until      int64    `json:"until"` // when the sign-in ends; Expires is never after it
}

// passPrefix begins every pass: what begins with "slw_" never reaches an app.
const passPrefix = "slw_p_"

// passType is the type in the signed header, so that nothing else that the key
// might sign passes for a pass.
const passType = "slipway-pass+jwt"

// maxPass is the length of the longest pass: a cookie may have 4096 bytes, its
// name included.
const maxPass = 4000

// skew is by how much clocks of control planes and edges may differ.
const skew = 30 * time.Second

// NewPass is a pass for an actor at an instance, from now on.
func NewPass(a *controlplane.Actor, use PassUse, instance string, now time.Time) Pass {
	p := Pass{
		Use: use, Instance: instance, User: a.User, Email: a.Email, Admin: a.Admin, Full: a.Full, Roles: a.Roles,
		Credential: a.Credential, Epoch: a.Epoch, IssuedAt: now.Unix(), Expires: now.Add(PassLife).Unix(), Until: a.Until.Unix(),
	}
	p.Expires = min(p.Expires, p.Until)
	return p
}

// Actor is who holds the pass.
func (p *Pass) Actor() controlplane.Actor {
	return controlplane.Actor{
		User: p.User, Email: p.Email, Admin: p.Admin, Full: p.Full, Roles: p.Roles,
		Credential: p.Credential, Epoch: p.Epoch, Until: time.Unix(p.Until, 0),
	}
}

// Alive reports whether the pass is good at that time, as far as its own times
// say.
func (p *Pass) Alive(now time.Time) bool {
	return now.Before(time.Unix(p.Expires, 0)) && !now.Before(time.Unix(p.IssuedAt, 0).Add(-skew))
}

// Aging reports whether more than half of the pass's life is over, and a newer
// one would live longer.
func (p *Pass) Aging(now time.Time) bool {
	return now.Unix() > (p.IssuedAt+p.Expires)/2 && p.Until > p.Expires
}

// sign is the pass, signed.
func (p *Pass) sign(kid string, key ed25519.PrivateKey) (string, error) {
	payload, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("sign pass: %w", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key},
		new(jose.SignerOptions).WithType(passType).WithHeader("kid", kid))
	if err != nil {
		return "", fmt.Errorf("sign pass: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign pass: %w", err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("sign pass: %w", err)
	}
	if text = passPrefix + text; len(text) > maxPass {
		return "", fmt.Errorf("sign pass: it has %d bytes, and no cookie has above %d", len(text), maxPass)
	}
	return text, nil
}

// errPass is all that is told of a pass that is not good.
var errPass = errors.New("the pass is not valid")

// ReadPass checks a pass's signature and form: not its times, nor whether it
// was revoked. key finds a verification key; nil where there is none.
func ReadPass(token string, key func(kid string) ed25519.PublicKey) (*Pass, error) {
	text, found := strings.CutPrefix(token, passPrefix)
	if !found || len(token) > maxPass {
		return nil, errPass
	}
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil || len(signed.Signatures) != 1 {
		return nil, errPass
	}
	header := signed.Signatures[0].Protected
	public := key(header.KeyID)
	if public == nil || header.ExtraHeaders[jose.HeaderType] != passType {
		return nil, errPass
	}
	payload, err := signed.Verify(public)
	if err != nil {
		return nil, errPass
	}
	p := new(Pass)
	if err := json.Unmarshal(payload, p); err != nil || p.User == "" || p.Instance == "" || p.Credential == "" {
		return nil, errPass
	}
	return p, nil
}
