package etcdstore

import (
	"cmp"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// instanceRoute is the value of routes/instance/<ID>: what an edge needs to
// know of one instance. Equal values mean that no edge needs to be told.
type instanceRoute struct {
	App        string `json:"app"`
	Mode       string `json:"mode"`
	Status     string `json:"status"`
	Endpoint   string `json:"endpoint,omitempty"`
	Identity   string `json:"identity,omitempty"`
	Generation int64  `json:"generation"`
	Primary    string `json:"primary_alias,omitempty"`
	Visibility string `json:"visibility"`
	Owner      string `json:"owner"`
	Wake       string `json:"wake"`
	Stopping   bool   `json:"stopping,omitempty"`
}

// aliasRoute is the value of routes/alias/<name>.
type aliasRoute struct {
	Instance string `json:"instance_id,omitempty"`
}

// policyRoute is the value of routes/policy/<app>.
type policyRoute struct {
	Owner        string   `json:"owner"`
	Lifecycle    string   `json:"lifecycle"`
	Visibility   string   `json:"visibility"`
	VisitorRoles []string `json:"visitor_roles,omitempty"`
	Title        string   `json:"title"`
	Icon         string   `json:"icon,omitempty"`     // its digest
	Identity     bool     `json:"identity,omitempty"` // EnableOIDC
}

// routeOf is what edges see of an instance; nil if they see nothing.
func routeOf(in *controlplane.Instance) *instanceRoute {
	if !in.Status.Live() {
		return nil
	}
	r := &instanceRoute{
		App:        in.AppID,
		Mode:       string(in.RoutingMode),
		Status:     string(in.Status),
		Generation: in.Generation,
		Primary:    in.PrimaryAlias,
		Visibility: string(in.Visibility),
		Owner:      in.Owner,
		Wake:       string(cmp.Or(in.Wake, controlplane.WakeVisitors)),
	}
	r.Stopping = in.Status == controlplane.Suspending && in.Sleep != nil && in.Sleep.Stopping
	if in.Status == controlplane.Deployed || in.Status == controlplane.Unknown {
		r.Endpoint, r.Identity = in.Endpoint, in.Identity
	}
	return r
}

// maxTitle is how many bytes of an app's title edges are told.
const maxTitle = 500

func policyOf(a *controlplane.App, visitorRoles []string) policyRoute {
	return policyRoute{
		Owner:        a.Owner,
		Lifecycle:    string(a.Lifecycle),
		Visibility:   string(a.Visibility),
		VisitorRoles: visitorRoles,
		Title:        strings.ToValidUTF8(a.Title[:min(len(a.Title), maxTitle)], ""),
		Icon:         a.Icon,
		Identity:     a.Manifest.Runtime.EnableOIDC,
	}
}

// RoutesPrefix is what an edge feeds its table from.
const RoutesPrefix = routesPrefix

// errNoRoute marks keys below routes/ that the table does not hold.
var errNoRoute = errors.New("not a route of the table")

// RouteChange turns an event of the routes feed into a change of the table.
// ok is false for keys that the table does not hold. A value that does not
// parse is an error: the table keeps the last good one.
func RouteChange(e Event) (change routing.Change, ok bool, err error) {
	switch change, err = routeChange(e); {
	case errors.Is(err, errNoRoute):
		return change, false, nil
	case err != nil:
		return change, false, fmt.Errorf("read %s: %w", e.Key, err)
	}
	return change, true, nil
}

// The limits of a route: no record but a policy comes near the first, no host
// has a name above the last. A policy has the roles of 20 tags, 50 of each, 100
// bytes long, of which JSON makes six times as many where all are escaped.
const (
	maxRoute     = 64 << 10
	maxPolicy    = 1 << 20
	maxAliasName = 253
)

func routeChange(e Event) (routing.Change, error) {
	most := maxRoute
	if strings.HasPrefix(e.Key, routePolicies) {
		most = maxPolicy
	}
	if len(e.Value) > most {
		return routing.Change{}, fmt.Errorf("the value has %d bytes, and %d are allowed", len(e.Value), most)
	}
	if len(e.Key) > maxRoute {
		return routing.Change{}, fmt.Errorf("the key has %d bytes, and %d are allowed", len(e.Key), maxRoute)
	}
	if id, found := strings.CutPrefix(e.Key, routeInstances); found {
		return instanceChange(id, e)
	}
	if name, found := strings.CutPrefix(e.Key, routeAliases); found {
		return aliasChange(name, e)
	}
	if app, found := strings.CutPrefix(e.Key, routePolicies); found {
		return policyChange(app, e)
	}
	if name, found := RouteRecord(e.Key); found {
		return recordChange(name, e)
	}
	return routing.Change{}, errNoRoute
}

func instanceChange(key string, e Event) (c routing.Change, err error) {
	id, ok := parseKeyID(key)
	if !ok {
		return c, fmt.Errorf("%q is not an instance id", key)
	}
	if e.Value == nil {
		return routing.DeleteInstance(id), nil
	}
	var r struct {
		V int `json:"v"`
		instanceRoute
	}
	// One pass, unless there is something to complain of: a list has millions.
	if err := json.Unmarshal(e.Value, &r); err != nil || r.V > schemaVersion {
		if err := decode(e.Key, e.Value, &r.instanceRoute); err != nil {
			return c, err
		}
	}
	// Bytes that are no UTF-8 grow threefold when they are decoded.
	if max(len(r.App), len(r.Primary), len(r.Owner)) > maxRoute {
		return c, fmt.Errorf("a field has more than %d bytes", maxRoute)
	}
	in := routing.Instance{ID: id, App: r.App, Generation: r.Generation, Primary: r.Primary, Owner: r.Owner, Identity: r.Identity, Stopping: r.Stopping}
	err = errors.Join(
		in.Mode.UnmarshalText([]byte(r.Mode)),
		in.Status.UnmarshalText([]byte(r.Status)),
		in.Visibility.UnmarshalText([]byte(r.Visibility)),
		in.Wake.UnmarshalText([]byte(r.Wake)),
		in.Endpoint.UnmarshalText([]byte(r.Endpoint)),
	)
	return routing.PutInstance(in), err
}

func aliasChange(name string, e Event) (c routing.Change, err error) {
	if len(name) > maxAliasName {
		return c, fmt.Errorf("the name has %d bytes, and no host has above %d", len(name), maxAliasName)
	}
	if e.Value == nil {
		return routing.DeleteAlias(name), nil
	}
	var r aliasRoute
	if err := decode(e.Key, e.Value, &r); err != nil {
		return c, err
	}
	a := routing.Alias{Name: name}
	if r.Instance != "" {
		id, ok := routing.ParseID(r.Instance)
		if !ok {
			return c, fmt.Errorf("%q is not an instance id", r.Instance)
		}
		a.Instance, a.Assigned = id, true
	}
	return routing.PutAlias(a), nil
}

func policyChange(app string, e Event) (c routing.Change, err error) {
	if e.Value == nil {
		return routing.DeletePolicy(app), nil
	}
	var r policyRoute
	if err := decode(e.Key, e.Value, &r); err != nil {
		return c, err
	}
	for _, field := range append([]string{r.Owner, r.Title, r.Icon}, r.VisitorRoles...) {
		if len(field) > maxRoute { // see instanceChange
			return c, fmt.Errorf("a field has more than %d bytes", maxRoute)
		}
	}
	p := routing.Policy{App: app, Owner: r.Owner, Title: r.Title, Icon: r.Icon, VisitorRoles: r.VisitorRoles, Identity: r.Identity}
	switch controlplane.Lifecycle(r.Lifecycle) {
	case controlplane.Managed:
		p.Managed = true
	case controlplane.OnDemand, controlplane.Link:
	default:
		return c, fmt.Errorf("there is no life cycle %q", r.Lifecycle)
	}
	if err := p.Visibility.UnmarshalText([]byte(r.Visibility)); err != nil {
		return c, err
	}
	return routing.PutPolicy(p), nil
}

func recordChange(name string, e Event) (c routing.Change, err error) {
	if e.Value == nil {
		return routing.DeleteRecord(name), nil
	}
	r := routing.Record{Name: name, Value: string(e.Value)}
	switch {
	case strings.HasPrefix(name, recordKeys):
		_, err = ReadVerificationKey(&r)
	case name == RecordSettings:
		_, err = ReadEdgeSettings(&r)
	case strings.HasPrefix(name, recordProgress):
		_, err = ReadProgress(&r)
	case strings.HasPrefix(name, recordLimited):
		_, err = ReadStartLimit(&r)
	default:
		var revocation controlplane.Revocation
		err = decode(e.Key, e.Value, &revocation)
		r.Epoch = revocation.Epoch
	}
	return routing.PutRecord(r), err
}

// The names of a table's other records.
const (
	RecordSettings  = "settings"
	recordKeys      = "keys/"
	recordUsers     = "revoked/user/"
	recordOfSession = "revoked/credential/"
	recordProgress  = "progress/"
	recordLimited   = "limited/"
)

// RecordOfKey names the record of a verification key.
func RecordOfKey(kid string) string { return recordKeys + kid }

// RecordOfUser names the record of a user's revocation: its epoch is the first
// that counts.
func RecordOfUser(user string) string { return recordUsers + user }

// RecordOfCredential names the record of the revocation of a session or a
// personal token, by its ID.
func RecordOfCredential(id string) string { return recordOfSession + id }

// ReadVerificationKey reads the record of a key.
func ReadVerificationKey(r *routing.Record) (key controlplane.VerificationKey, err error) {
	if err := decode(r.Name, []byte(r.Value), &key); err != nil {
		return key, err
	}
	if key.Algorithm != controlplane.EdDSA || len(key.Key) != ed25519.PublicKeySize {
		return key, fmt.Errorf("it is no public key of Ed25519")
	}
	return key, nil
}

// ReadEdgeSettings reads the record of the settings; nil is the default.
func ReadEdgeSettings(r *routing.Record) (s controlplane.EdgeSettings, err error) {
	if r != nil {
		err = decode(r.Name, []byte(r.Value), &s)
	}
	return s, err
}

// RouteRecord is the name of the other record that a key of the routes feed is
// about.
func RouteRecord(key string) (string, bool) {
	name := strings.TrimPrefix(key, routesPrefix)
	for _, prefix := range []string{recordKeys, recordUsers, recordOfSession, recordProgress, recordLimited} {
		if strings.HasPrefix(name, prefix) && len(name) > len(prefix) {
			return name, true
		}
	}
	return name, name == RecordSettings
}

// RoutePolicy is the app that a key of the routes feed is the policy of.
func RoutePolicy(key string) (string, bool) { return strings.CutPrefix(key, routePolicies) }

// RouteInstance is the instance that a key of the routes feed is about.
func RouteInstance(key string) (routing.ID, bool) {
	id, found := strings.CutPrefix(key, routeInstances)
	if !found {
		return routing.ID{}, false
	}
	return parseKeyID(id)
}

// parseKeyID takes the one spelling that keys have: another one of the same ID
// would be a second record of the instance.
func parseKeyID(s string) (routing.ID, bool) {
	id, ok := routing.ParseID(s)
	return id, ok && id.String() == s
}

// RouteAlias is the name of the alias that a key of the routes feed is about.
func RouteAlias(key string) (string, bool) { return strings.CutPrefix(key, routeAliases) }

// InstanceRouteKey and AliasRouteKey are the keys of the routes feed.
func InstanceRouteKey(id routing.ID) string { return routeInstanceKey(id.String()) }

// AliasRouteKey is the key of an alias's route; see InstanceRouteKey.
func AliasRouteKey(name string) string { return routeAliasKey(name) }

// PolicyRouteKey is the key of an app's policy; see InstanceRouteKey.
func PolicyRouteKey(app string) string { return routePolicyKey(app) }

// RecordRouteKey is the key of another record; see InstanceRouteKey.
func RecordRouteKey(name string) string { return routesPrefix + name }
