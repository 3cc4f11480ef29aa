package controlplane

import (
	"slices"
	"time"
)

// Actor is who asks for something, with the rights that they had when they
// were asked for. The zero value is anonymous.
type Actor struct {
	User  string   // the user's name, unique for good; empty: nobody signed in
	Email string   // as the provider gave it; may be empty
	Admin bool     // has the admin role
	Full  bool     // has full access; who has not is a visitor
	Roles []string // as the provider gave them

	// Instance is the ID of the instance whose own token this is; such an actor
	// is nobody's user.
	Instance string
	// Scopes bound what the credential is good for; nil: everything.
	Scopes []Scope
	// NotAsAdmin says that the user is an admin and their token lacks ScopeAdmin:
	// Admin is false then.
	NotAsAdmin bool
	// Credential is the ID of the session or the personal token, and Epoch the
	// user's when their rights were read: what is issued for this actor ends
	// with either (see Revocation).
	Credential string
	Epoch      int64
	// Until is when the sign-in ends, and all that is issued for it.
	Until time.Time
	// Address is the client's, for the audit.
	Address string
}

// Anonymous reports whether nobody is signed in.
func (a *Actor) Anonymous() bool { return a.User == "" && a.Instance == "" }

// May reports whether the credential is good for that.
func (a *Actor) May(s Scope) bool { return a.Scopes == nil || slices.Contains(a.Scopes, s) }

// Scope is what a personal token is good for.
type Scope string

// The scopes. A token without ScopeAdmin has none of its owner's rights as an
// admin.
const (
	ScopeRead  Scope = "read"  // reads of the API
	ScopeWrite Scope = "write" // changes by the API; comes with ScopeRead
	ScopeOpen  Scope = "open"  // tickets for instances
	ScopeAdmin Scope = "admin" // the rights of an admin, if the owner is one
)

// Scopes are all of them.
var Scopes = []Scope{ScopeRead, ScopeWrite, ScopeOpen, ScopeAdmin}

// Action is what somebody wants to do (spec access.md §2–§4).
type Action uint8

// The actions.
const (
	SeeApp Action = iota
	RunApp
	UpdateApp
	DeleteApp
	DownloadApp
	ImportApp
	ImportContainer
	SetImage

	OpenInstance
	SeeInstance // its metadata
	ReadLogs    // and events
	ChangeInstance

	ManageAliases // create, delete, and assign to any instance
	SeeAlias      // Resource is the instance that it leads to
	ChangeAlias   // likewise
	SeeTags
	ManageTags
	AssignTag // assign, remove and update
	SeeSecretNames
	WriteOwnSecret
	WriteSharedSecret // ALL_USERS and APP
	RevealSecret      // its values; who may write it and owns it

	SeeOffers // runtime versions and launch profiles
	RefreshAll
	SeeEdges
	SeeLeader
	SeeAudit
	Explain
	ManageUsers
	HaveTokens // personal tokens of one's own
	Actions    // how many there are
)

// Resource is what an action is about, as far as the rules ask.
type Resource struct {
	// Owner and Visibility are the app's or the instance's own.
	Owner      string
	Visibility Visibility
	// Of an instance: its app's owner and visibility, and how it is addressed.
	AppOwner      string
	AppVisibility Visibility
	RoutingMode   RoutingMode
	// Lifecycle is the app's.
	Lifecycle Lifecycle
	// VisitorRoles are those of the app's tags; AdminRoles a tag's own.
	VisitorRoles []string
	AdminRoles   []string
}

// Verdict is the answer to whether an actor may do something.
type Verdict uint8

// The verdicts. The zero Verdict refuses, and tells nothing.
const (
	Hidden    Verdict = iota // as if there were no such thing: 404
	Forbidden                // they know that it is there: 403
	SignIn                   // somebody who is signed in perhaps may: login, or 401
	Allowed
)

func (v Verdict) String() string {
	return [...]string{"hidden", "forbidden", "sign in", "allowed"}[v]
}

// Access decides who may do what; access.Rules does.
type Access interface {
	Decide(a *Actor, do Action, of *Resource) Verdict
}

// ResourceOfApp is an app as a resource; roles are the visitor roles of its tags.
func ResourceOfApp(a *App, roles []string) *Resource {
	return &Resource{
		Owner: a.Owner, Visibility: a.Visibility, AppOwner: a.Owner, AppVisibility: a.Visibility,
		RoutingMode: a.RoutingMode, Lifecycle: a.Lifecycle, VisitorRoles: roles,
	}
}

// ResourceOfInstance is an instance as a resource. Its app may be nil, where it
// is being deleted: then it belongs to nobody.
func ResourceOfInstance(in *Instance, a *App, roles []string) *Resource {
	r := &Resource{Owner: in.Owner, Visibility: in.Visibility, RoutingMode: in.RoutingMode}
	if a != nil {
		r.AppOwner, r.AppVisibility, r.Lifecycle, r.VisitorRoles = a.Owner, a.Visibility, a.Lifecycle, roles
	}
	return r
}
