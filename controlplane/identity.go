package controlplane

import "time"

// User is somebody who has signed in: an (issuer, subject) of a provider, or the
// local admin of an installation without one (spec access.md §1).
type User struct {
	// Name is what owners are called by: claimed at the first sign-in, unique
	// without regard to case, and nobody else's for good.
	Name    string `json:"name"`
	Issuer  string `json:"issuer,omitempty"` // empty: local, who is an admin
	Subject string `json:"subject"`

	Email       string   `json:"email,omitempty"`
	DisplayName string   `json:"display_name,omitempty"`
	Roles       []string `json:"roles,omitempty"` // as the provider said last
	Disabled    bool     `json:"disabled,omitempty"`
	// Epoch grows when something that was issued to the user must end: a role
	// changed, the user was disabled, or signed out everywhere.
	Epoch int64 `json:"epoch,omitempty"`
	// SignedOut is the epoch since which sessions are good: that of the last
	// sign-out everywhere. A role that changes ends passes, and no session.
	SignedOut int64 `json:"signed_out,omitempty"`

	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
	SignedInAt time.Time `json:"signed_in_at,omitzero"`

	Revision int64 `json:"-"` // see App.Revision
}

// Session is a sign-in at the console. Its secret is in the browser's cookie;
// the store knows the secret's hash.
type Session struct {
	ID    string `json:"id"` // of the secret's hash, see identity.SessionID
	User  string `json:"user"`
	Epoch int64  `json:"epoch,omitempty"` // the user's when it began; see User.SignedOut

	// ProviderSession is the provider's own name of it (sid), for its end.
	ProviderSession string `json:"provider_session,omitempty"`
	// Refresh is the provider's refresh token, encrypted; empty where it gave
	// none.
	Refresh []byte `json:"refresh,omitempty"`
	// IDToken is what the provider wants to see at a sign-out, encrypted.
	IDToken []byte `json:"id_token,omitempty"`

	CreatedAt time.Time `json:"created_at"`
	CheckedAt time.Time `json:"checked_at"` // when the provider was asked last
	ExpiresAt time.Time `json:"expires_at"` // it ends then, whatever happens

	Revision int64 `json:"-"` // see App.Revision
}

// Token is a personal token; only its hash is stored.
type Token struct {
	Hash   string  `json:"hash"` // SHA-256 of the whole token, hexadecimal
	ID     string  `json:"id"`   // what it is listed and revoked by
	User   string  `json:"user"`
	Name   string  `json:"name,omitempty"` // for people: what it is used for
	Scopes []Scope `json:"scopes"`
	// Parent is the ID of the token that this one was made with: it ends with that.
	Parent string `json:"parent,omitempty"`

	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
}

// Tag groups apps, and says which visitors see them (spec access.md §2, §4).
type Tag struct {
	Name  string `json:"name"`
	Title string `json:"title,omitempty"`
	// Description is one line of at most 300 bytes.
	Description string `json:"description,omitempty"`
	// Color is for people: #rrggbb or empty.
	Color string `json:"color,omitempty"`
	// IsCategory makes it a category, as the setting category_tags does (spec
	// apps.md §5).
	IsCategory bool `json:"is_category,omitempty"`
	// VisitorRoles see and run the ALL_USERS apps that have the tag.
	VisitorRoles []string `json:"visitor_roles,omitempty"`
	// AdminRoles assign, remove and update the tag; none: every full user.
	AdminRoles []string `json:"admin_roles,omitempty"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`

	Revision int64 `json:"-"` // see App.Revision
}

// AuditRecord is the record of one change. It is written by the transaction of
// the change, and nothing removes it (spec access.md §5).
type AuditRecord struct {
	ID      string    `json:"id"` // in the order of time
	Time    time.Time `json:"time"`
	Actor   string    `json:"actor"`            // a user, "instance/<ID>" or "system"
	Action  string    `json:"action"`           // "app.import", "alias.assign", …
	Object  string    `json:"object"`           // "app/<ID>", "alias/<name>", …
	Detail  string    `json:"detail,omitempty"` // what changed, for people; never a secret
	Address string    `json:"address,omitempty"`

	Revision int64 `json:"-"` // of the change
}
