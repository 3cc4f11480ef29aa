package etcdstore

import "strings"

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
)

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
