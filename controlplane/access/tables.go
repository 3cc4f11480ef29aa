package access

import cp "github.com/seed-dbc68772/slipway/controlplane"

const (
	signedIn = tagVisitor | visitor | full | owner | appOwner | admin
	everyone = anonymous | signedIn
)

// The table of spec access.md §2. The three of a row are PRIVATE, ALL_USERS and
// PUBLIC; PUBLIC counts as ALL_USERS without public_mode.
var seeApp = [3]class{
	owner | admin,
	owner | admin | full | tagVisitor,
	everyone,
}

var (
	runOnDemand = tagVisitor | full | owner | admin // of what they see
	runManaged  = owner | admin
)

// The table of §3. A visitor opens ALL_USERS instances of MANAGED apps that
// they see; BASE_URL instances are their owners' alone without
// base_url_sharing.
var openInstance = [3]class{
	owner,
	full | owner | appOwner | admin,
	everyone,
}

var seeInstance = [3]class{
	owner | appOwner | admin,
	owner | appOwner | admin | full,
	owner | appOwner | admin | full,
}

// others are the rows that depend on nothing else, with §4.
var others = [cp.Actions]class{
	cp.UpdateApp:       owner | admin,
	cp.DeleteApp:       owner | admin,
	cp.DownloadApp:     owner | admin,
	cp.ImportApp:       full | admin,
	cp.ImportContainer: admin,
	cp.SetImage:        admin,

	cp.ReadLogs:       owner | appOwner | admin,
	cp.ChangeInstance: owner | admin,

	cp.ManageAliases:     admin,
	cp.SeeAlias:          owner | admin,
	cp.SeeTags:           signedIn,
	cp.ManageTags:        admin,
	cp.SeeSecretNames:    full | admin,
	cp.WriteOwnSecret:    full | admin,
	cp.WriteSharedSecret: admin,

	cp.SeeOffers:  signedIn,
	cp.RefreshAll: admin,

	cp.SeeEdges:    signedIn, // --wait asks for them
	cp.SeeLeader:   admin,
	cp.SeeAudit:    admin,
	cp.Explain:     admin,
	cp.ManageUsers: admin,
	cp.HaveTokens:  signedIn,
}
