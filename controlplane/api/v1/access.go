package v1

import "time"

// Me is who the caller is.
type Me struct {
	User        string     `json:"user" doc:"the name that owners are called by; empty for an instance"`
	DisplayName string     `json:"display_name,omitempty"`
	Email       string     `json:"email,omitempty"`
	Admin       bool       `json:"admin"`
	FullAccess  bool       `json:"full_access" doc:"who has not is a visitor"`
	Roles       []string   `json:"roles" doc:"as the provider gave them"`
	Scopes      []string   `json:"scopes,omitempty" doc:"of the token; absent where it is good for everything"`
	InstanceID  *string    `json:"instance_id,omitempty" doc:"the instance whose own token this is"`
	ExpiresAt   *time.Time `json:"expires_at" doc:"of the sign-in or the token; null for never"`
}

// LoginInfo tells how one signs in here.
type LoginInfo struct {
	Provider   *string `json:"provider" doc:"the issuer of the OpenID provider; null without one: then a one-time link signs in"`
	ConsoleURL string  `json:"console_url" format:"uri"`
}

// DeviceLogin is a sign-in of a command line that waits for its approval in a
// browser (RFC 8628).
type DeviceLogin struct {
	DeviceCode              string `json:"device_code" doc:"for the caller alone"`
	UserCode                string `json:"user_code" doc:"for the person, e.g. BCDF-GHJK"`
	VerificationURI         string `json:"verification_uri" format:"uri"`
	VerificationURIComplete string `json:"verification_uri_complete" format:"uri"`
	ExpiresIn               int    `json:"expires_in" doc:"seconds"`
	Interval                int    `json:"interval" doc:"seconds between two questions"`
}

// DeviceRequest begins a DeviceLogin.
type DeviceRequest struct {
	Name   string   `json:"name,omitempty" doc:"for people: where the token will be used" maxLength:"100"`
	Scopes []string `json:"scopes,omitempty" doc:"of the token; all without any"`
}

// DeviceTokenRequest asks for the token of a DeviceLogin. Until it is approved
// the answer is 400 with the code authorization_pending, slow_down,
// access_denied or expired_token.
type DeviceTokenRequest struct {
	DeviceCode string `json:"device_code" maxLength:"200"`
}

// LoginLink is a link that signs in at the console, once, in an installation
// without a provider.
type LoginLink struct {
	URL       string    `json:"url" format:"uri"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Token is a personal token as it is listed.
type Token struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Scopes    []string   `json:"scopes" doc:"read, write, open, admin"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at" doc:"null for never"`
	Current   bool       `json:"current" doc:"the one that this call was made with"`
}

// TokenRequest is the body of POST /tokens.
type TokenRequest struct {
	Name      string   `json:"name" maxLength:"100"`
	Scopes    []string `json:"scopes,omitempty" doc:"read and open without any"`
	ExpiresIn *string  `json:"expires_in,omitempty" doc:"a duration such as 720h, at most 8760h; 720h without one"`
}

// NewToken is a new token: the only answer that shows it.
type NewToken struct {
	Token
	Secret string `json:"token" doc:"begins with slw_"`
}

// Ticket opens one instance, as a bearer, for API clients.
type Ticket struct {
	Token     string    `json:"token" doc:"begins with slw_; send it as Authorization: Bearer"`
	ExpiresAt time.Time `json:"expires_at"`
}

// TicketTrade is what an edge gives for the cookie of a browser: the one-time
// ticket that the console gave.
type TicketTrade struct {
	Ticket   string `json:"ticket" maxLength:"200"`
	Nonce    string `json:"nonce" doc:"what the browser's own cookie holds" maxLength:"200"`
	Instance string `json:"instance_id"`
	Host     string `json:"host" doc:"that the ticket came to" maxLength:"300"`
}

// IconRequest is what an edge asks an app's icon with.
type IconRequest struct {
	App    string `json:"app_id" format:"uuid"`
	Digest string `json:"digest" doc:"the icon's SHA-256, as in the app's policy" maxLength:"64"`
}

// Icon is an app's icon.
type Icon struct {
	PNG []byte `json:"png" doc:"8 KiB at most"`
}

// PassRenewal is what an edge gives for a newer pass of a cookie.
type PassRenewal struct {
	Pass string `json:"pass" maxLength:"4096"`
}

// Pass is the content of an instance's cookie.
type Pass struct {
	Pass      string    `json:"pass"`
	ExpiresAt time.Time `json:"expires_at"`
}

// User is somebody who has signed in.
type User struct {
	Name        string     `json:"name"`
	DisplayName string     `json:"display_name,omitempty"`
	Email       string     `json:"email,omitempty"`
	Issuer      *string    `json:"issuer" doc:"null for the local admin"`
	Roles       []string   `json:"roles"`
	Admin       bool       `json:"admin"`
	FullAccess  bool       `json:"full_access"`
	Disabled    bool       `json:"disabled"`
	CreatedAt   time.Time  `json:"created_at"`
	SignedInAt  *time.Time `json:"signed_in_at"`
}

// UserPatch is the body of PATCH /users/{name}.
type UserPatch struct {
	Disabled *bool `json:"disabled,omitempty" doc:"ends everything that the user has, and lets nobody in"`
}

// AppPatch is the body of PATCH /apps/{id}.
type AppPatch struct {
	Visibility    *string   `json:"visibility,omitempty"`
	Tags          *[]string `json:"tags,omitempty" doc:"all tags that the app is to have"`
	Image         *string   `json:"image,omitempty" doc:"of a container app; the admins' to set"`
	LaunchProfile *string   `json:"launch_profile,omitempty" doc:"of instances that are started without one; empty: none"`
}

// InstancePatch is the body of PATCH /instances/{id}.
type InstancePatch struct {
	Visibility  *string `json:"visibility,omitempty"`
	Wake        *string `json:"wake,omitempty" doc:"whose visits wake it: visitors, owner or never"`
	Autosuspend *bool   `json:"autosuspend,omitempty" doc:"whether it goes to sleep by itself; the admins' to change"`
}

// Tag groups apps, and says which visitors see them.
type Tag struct {
	Name         string    `json:"name"`
	Title        string    `json:"title"`
	Description  string    `json:"description"`
	Color        string    `json:"color"`
	IsCategory   bool      `json:"is_category" doc:"whether it was made a category; the setting category_tags makes others"`
	Kinds        []string  `json:"kinds" enum:"category,authorization,badge" doc:"what it is: category, by is_category or by the setting; authorization, by its visitor roles; badge, which is neither"`
	VisitorRoles []string  `json:"visitor_roles" doc:"visitors with one of them see and run the ALL_USERS apps that have the tag"`
	AdminRoles   []string  `json:"admin_roles" doc:"who has one assigns, removes and updates the tag; none: every full user"`
	CreatedAt    time.Time `json:"created_at"`
	UpdatedAt    time.Time `json:"updated_at"`
}

// TagRequest is the body of POST /tags.
type TagRequest struct {
	Name         string   `json:"name"`
	Title        string   `json:"title,omitempty" maxLength:"100"`
	Description  string   `json:"description,omitempty" maxLength:"300" doc:"one line of at most 300 bytes"`
	Color        string   `json:"color,omitempty" pattern:"^(#[0-9A-Fa-f]{6})?$"`
	IsCategory   bool     `json:"is_category,omitempty" doc:"makes it a category: apps are found by it"`
	VisitorRoles []string `json:"visitor_roles,omitempty"`
	AdminRoles   []string `json:"admin_roles,omitempty"`
}

// TagPatch is the body of PATCH /tags/{name}.
type TagPatch struct {
	Title        *string   `json:"title,omitempty" maxLength:"100"`
	Description  *string   `json:"description,omitempty" maxLength:"300" doc:"one line of at most 300 bytes"`
	Color        *string   `json:"color,omitempty" pattern:"^(#[0-9A-Fa-f]{6})?$"`
	IsCategory   *bool     `json:"is_category,omitempty" doc:"makes it a category, or one no more unless the setting category_tags has it"`
	VisitorRoles *[]string `json:"visitor_roles,omitempty"`
	AdminRoles   *[]string `json:"admin_roles,omitempty"`
}

// AuditRecord is the record of one change.
type AuditRecord struct {
	ID       string    `json:"id"`
	Time     time.Time `json:"time"`
	Actor    string    `json:"actor" doc:"a user, instance/ID or system"`
	Action   string    `json:"action" doc:"e.g. alias.assign"`
	Object   string    `json:"object" doc:"e.g. alias/sales"`
	Revision string    `json:"revision"`
	Address  string    `json:"address" doc:"of the client"`
	Detail   string    `json:"detail,omitempty"`
}
