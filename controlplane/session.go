package controlplane

import "time"

// EdDSA is the one algorithm that what Slipway signs for edges is signed by.
const EdDSA = "EdDSA"

// VerificationKey is the public half of a key that signs what edges check by
// themselves (routes/keys/<kid>).
type VerificationKey struct {
	Algorithm string    `json:"alg"` // EdDSA
	Key       []byte    `json:"key"` // Ed25519, 32 bytes
	CreatedAt time.Time `json:"created_at"`
}

// Revocation takes back what was issued (routes/revoked/…): that of a user
// counts what is of a lower epoch as ended, that of a credential everything.
// It is kept for longer than anything lives that edges check by themselves.
type Revocation struct {
	Epoch int64 `json:"epoch,omitempty"`
}

// EdgeSettings are the settings of access that all edges obey alike
// (routes/settings).
type EdgeSettings struct {
	BaseURLSharing bool `json:"base_url_sharing"`
	PublicMode     bool `json:"public_mode"`
}

// SigningKey is the private half of a VerificationKey, which only control planes
// read.
type SigningKey struct {
	ID        string    `json:"id"`   // kid
	Seed      []byte    `json:"seed"` // of Ed25519, 32 bytes
	CreatedAt time.Time `json:"created_at"`
}
