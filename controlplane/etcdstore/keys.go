package etcdstore

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Keys relative to the prefix; doc.go lists them all.
const (
	appsPrefix      = "apps/record/"
	instancesPrefix = "instances/"
	aliasesPrefix   = "aliases/record/"
	wakePrefix      = "wake/"
	edgesPrefix     = "edges/"
	controlPrefix   = "control/"
	routesPrefix    = "routes/"
	routeInstances  = routesPrefix + "instance/"
	routeAliases    = routesPrefix + "alias/"
	routePolicies   = routesPrefix + "policy/"
	routeMark       = routesPrefix + "mark"
	usersPrefix     = "users/record/"
	sessionsPrefix  = "sessions/"
	tagsPrefix      = "tags/"
	auditPrefix     = "audit/"
	activityPrefix  = "activity/"
	placesPrefix    = "launchers/"
	leaderKey       = "leader/current"
	epochKey        = "leader/epoch"
)

func userKey(name string) string { return usersPrefix + strings.ToLower(name) }
func userOfKey(issuer, subject string) string {
	sum := sha256.Sum256([]byte(issuer + "\x00" + subject))
	return "users/subject/" + hex.EncodeToString(sum[:])
}
func sessionKey(id string) string       { return sessionsPrefix + id }
func sessionsOf(user string) string     { return "users/sessions/" + strings.ToLower(user) + "/" }
func tokensOf(user string) string       { return "tokens/of/" + strings.ToLower(user) + "/" }
func tokenOfKey(user, id string) string { return tokensOf(user) + id }
func tagKey(name string) string         { return tagsPrefix + name }
func startsKey(kind controlplane.StartKind, of string) string {
	return "starts/" + string(kind) + "/" + strings.ToLower(of)
}
func appStartsKey(app string) string    { return "apps/starts/" + app }
func eventsKey(id string) string        { return "events/" + id }
func ownedInstances(user string) string { return "users/instances/" + strings.ToLower(user) + "/" }
func ownedApps(user string) string      { return "users/apps/" + strings.ToLower(user) + "/" }
func onceKey(kind controlplane.OnceKind, key string) string {
	return "once/" + string(kind) + "/" + key
}

func appKey(id string) string                { return appsPrefix + id }
func appInstances(appID string) string       { return "apps/instances/" + appID + "/" }
func appInstanceKey(appID, id string) string { return appInstances(appID) + id }
func nameKey(name string) string             { return "names/" + strings.ToLower(name) }
func versionKey(name, version string) string {
	return nameKey(name) + "/" + strings.ToLower(version)
}
func instanceKey(id string) string      { return instancesPrefix + id }
func aliasKey(name string) string       { return aliasesPrefix + name }
func aliasIDKey(id string) string       { return "aliases/id/" + id }
func signingKeyKey(name string) string  { return "signing/" + name }
func tokenKey(hash string) string       { return "tokens/" + hash }
func wakeKey(id string) string          { return wakePrefix + id }
func routeInstanceKey(id string) string { return routeInstances + id }
func routeAliasKey(name string) string  { return routeAliases + name }
func routePolicyKey(app string) string  { return routePolicies + app }
