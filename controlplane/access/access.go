package access

import (
	"slices"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Rules are the settings that the tables depend on (spec interfaces.md §6). The
// zero value is the default: all off.
type Rules struct {
	PublicMode     bool // PUBLIC apps are shown to people who are not signed in
	BaseURLSharing bool // instances of one base host trust each other
	UserAliases    bool // owners change the aliases of their own instances
}

var _ controlplane.Access = Rules{}

// class is a set of the classes that an actor belongs to.
type class uint16

const (
	anonymous  class = 1 << iota
	tagVisitor       // a visitor with a visitor role of one of the app's tags
	visitor          // another visitor
	full
	owner // of the thing itself
	appOwner
	admin
	tagAdmin    // has an admin role of the tag
	ownWorkload // the instance itself, by its own token
)

// Decide answers whether the actor may do that. The resource may be nil for
// actions that are about none.
func (r Rules) Decide(a *controlplane.Actor, do controlplane.Action, of *controlplane.Resource) controlplane.Verdict {
	if of == nil {
		of = &nothing
	}
	is := classes(a, of)
	if r.allows(is, do, of) {
		return controlplane.Allowed
	}
	switch {
	case is&anonymous != 0:
		return controlplane.SignIn
	case r.allows(is, sight[do], of):
		return controlplane.Forbidden
	}
	return controlplane.Hidden
}

var nothing controlplane.Resource

// sight is the action that tells whether an actor may know of the thing that
// another action is about. What is not there is no secret.
var sight = [controlplane.Actions]controlplane.Action{
	controlplane.SeeApp: controlplane.SeeApp, controlplane.RunApp: controlplane.SeeApp, controlplane.UpdateApp: controlplane.SeeApp,
	controlplane.DeleteApp: controlplane.SeeApp, controlplane.DownloadApp: controlplane.SeeApp, controlplane.SetImage: controlplane.SeeApp,
	controlplane.ImportApp: known, controlplane.ImportContainer: known,

	controlplane.OpenInstance: controlplane.SeeInstance, controlplane.SeeInstance: controlplane.SeeInstance,
	controlplane.ReadLogs: controlplane.SeeInstance, controlplane.ChangeInstance: controlplane.SeeInstance,
	controlplane.ChangeAlias: controlplane.SeeInstance, controlplane.SeeAlias: controlplane.SeeAlias,

	controlplane.ManageAliases: known, controlplane.SeeTags: known, controlplane.ManageTags: known, controlplane.AssignTag: known,
	controlplane.SeeSecretNames: known, controlplane.WriteOwnSecret: known, controlplane.WriteSharedSecret: known, controlplane.RevealSecret: known,
	controlplane.SeeOffers: known, controlplane.RefreshAll: known, controlplane.SeeEdges: known, controlplane.SeeLeader: known, controlplane.SeeAudit: known, controlplane.Explain: known,
	controlplane.ManageUsers: known, controlplane.HaveTokens: known,
}

// known is no action: whoever is signed in knows of it.
const known = controlplane.Actions

// allows looks the cell up.
func (r Rules) allows(is class, do controlplane.Action, of *controlplane.Resource) bool {
	switch do {
	case known:
		return is&anonymous == 0
	case controlplane.SeeApp:
		return is&seeApp[r.shown(of.Visibility)] != 0
	case controlplane.RunApp:
		if of.Lifecycle == controlplane.Managed {
			return is&runManaged != 0
		}
		return is&runOnDemand != 0 && r.allows(is, controlplane.SeeApp, of)
	case controlplane.OpenInstance:
		if of.RoutingMode == controlplane.BaseURL && !r.BaseURLSharing {
			return is&owner != 0
		}
		if is&openInstance[index(of.Visibility)] != 0 {
			return true
		}
		return of.Visibility == controlplane.AllUsers && of.Lifecycle == controlplane.Managed &&
			is&(tagVisitor|visitor) != 0 && is&seeApp[r.shown(of.AppVisibility)] != 0
	case controlplane.SeeInstance:
		return is&seeInstance[index(of.Visibility)] != 0
	case controlplane.ChangeAlias:
		return is&admin != 0 || r.UserAliases && is&owner != 0
	case controlplane.RevealSecret:
		write := controlplane.WriteSharedSecret
		if of.Visibility == controlplane.Private {
			write = controlplane.WriteOwnSecret
		}
		return is&owner != 0 && is&others[write] != 0
	case controlplane.AssignTag:
		return is&(admin|tagAdmin) != 0 || is&full != 0 && len(of.AdminRoles) == 0
	}
	return is&others[do] != 0
}

// classes are those that the actor belongs to.
func classes(a *controlplane.Actor, of *controlplane.Resource) class {
	if a.User == "" {
		if a.Instance != "" {
			return ownWorkload
		}
		return anonymous
	}
	var is class
	switch {
	case a.Admin:
		is = admin | full
	case a.Full:
		is = full
	case haveCommon(a.Roles, of.VisitorRoles):
		is = tagVisitor
	default:
		is = visitor
	}
	if a.User == of.Owner {
		is |= owner
	}
	if haveCommon(a.Roles, of.AdminRoles) {
		is |= tagAdmin
	}
	if a.User == of.AppOwner {
		is |= appOwner
	}
	return is
}

func haveCommon(a, b []string) bool {
	if len(b) == 0 {
		return false
	}
	return slices.ContainsFunc(a, func(role string) bool { return slices.Contains(b, role) })
}

// shown is where a visibility of an app stands in the tables: without
// public_mode PUBLIC apps count as ALL_USERS.
func (r Rules) shown(v controlplane.Visibility) int {
	if v == controlplane.Public && !r.PublicMode {
		v = controlplane.AllUsers
	}
	return index(v)
}

func index(v controlplane.Visibility) int {
	switch v {
	case controlplane.AllUsers:
		return 1
	case controlplane.Public:
		return 2
	}
	return 0 // the narrowest
}
