package routing

import "strings"

// ownPrefix begins Slipway's own paths on instances' hosts.
const ownPrefix = "/.slipway/"

// place is the kind of name by which a request reached an instance.
type place uint8

const (
	atID    place = iota // <ID>.<base>
	atPath               // <base>/instance/<ID>
	atAlias              // an alias's host
)

// visit is one request on its way to a decision.
type visit struct {
	table *Table
	site  *Site
	d     Decision

	safe    bool   // GET or HEAD
	upgrade bool   // to a WebSocket
	bearer  bool   // see Request
	query   string // with its "?"
	skewed  bool   // host or path are not in their canonical spelling
}

// Decide tells who answers the request. It is the only place where hosts and
// paths are understood. It allocates nothing but a Redirect's Location, once.
func (t *Table) Decide(s *Site, r Request) Decision {
	v := visit{table: t, site: s, bearer: r.Bearer}
	if !v.method(&r) {
		return v.d
	}
	authority, origin, absolute := splitAuthority(r.Target)
	if !absolute {
		authority = r.Host
	}
	host, ok := parseHost(authority)
	if !ok {
		v.d.answer(BadRequest, 400, RuleHost)
		return v.d
	}
	target, ok := parseTarget(origin, absolute)
	if !ok {
		v.d.answer(BadRequest, 400, RuleTarget)
		return v.d
	}
	v.query, v.skewed = target.query, host.dot
	v.d.Path = target.path
	if target.query != "" {
		v.d.Query, v.d.HasQuery = target.query[1:], true
	}
	v.route(t.lookUp(s, host))
	return v.d
}

// method answers what needs neither host nor target, and reports whether the
// request goes on.
func (v *visit) method(r *Request) bool {
	v.upgrade = r.Upgrade
	switch r.Method {
	case "GET", "HEAD":
		v.safe = true
	case "TRACE":
		v.d.answer(MethodNotAllowed, 405, RuleMethod)
		return false
	case "CONNECT":
		if r.Protocol == "" {
			v.d.answer(MethodNotAllowed, 405, RuleMethod)
			return false
		}
		if !strings.EqualFold(r.Protocol, "websocket") {
			v.d.answer(NotImplemented, 501, RuleProtocol)
			return false
		}
		v.upgrade = true
	case "OPTIONS":
		if r.Target == "*" {
			v.d.answer(Options, 200, RuleOptions)
			return false
		}
	}
	return true
}

func (v *visit) route(host Host) {
	v.d.Alias = host.Alias
	switch {
	case host.Kind == HostBase:
		v.baseDomain()
	case host.Kind == HostConsole:
		v.d.Kind, v.d.Rule = Console, RuleConsole
	case host.Instance == nil:
		v.d.answer(NotFound, 404, host.rule)
	case host.Kind == HostInstance:
		v.instance(host.Instance, atID, v.prefix(host.Instance))
	default:
		v.instance(host.Instance, atAlias, v.prefix(host.Instance))
	}
}

// prefix finds an instance's prefix in the path on a host of its own. At a
// DOMAIN instance every path is the app's.
func (v *visit) prefix(in *Instance) prefix {
	if in.Mode == Domain {
		return prefix{rest: v.d.Path}
	}
	return cutInstance(v.d.Path)
}

func (v *visit) baseDomain() {
	path := v.d.Path
	if cut := cutInstance(path); cut.found {
		if in := v.table.Instance(cut.id); in != nil {
			v.instance(in, atPath, cut)
			return
		}
		v.d.answer(NotFound, 404, RuleUnknownID)
		return
	}
	switch {
	case path == "/":
		v.d.answer(Redirect, v.nameStatus(), RuleConsoleRoot)
		v.d.Location = v.site.consoleURL
	case path == "/livez", path == "/readyz",
		strings.HasPrefix(path, "/api/"), strings.HasPrefix(path, "/ocs/"):
		v.d.Kind, v.d.Rule = Control, RuleControl
	default:
		v.d.answer(NotFound, 404, RuleUnknownPath)
	}
}

// instance decides for a live instance at one of its names: the table of §3.
func (v *visit) instance(in *Instance, at place, cut prefix) {
	rest, prefixed := v.d.Path, false
	switch {
	case cut.found && cut.id == in.ID:
		rest, prefixed = cut.rest, true
		v.skewed = v.skewed || cut.upper
	case cut.found && at == atAlias:
		v.foreign(cut.id, cut.rest)
		return
	}
	if in.Mode == BaseURL && climbs(rest) {
		v.d.answer(BadRequest, 400, RuleClimb)
		return
	}

	v.d.Instance = in
	primary, named := v.primary(in, at)
	own, isOwn := strings.CutPrefix(rest, ownPrefix)
	// A bare prefix, or one that is not spelled as the app knows it, is no
	// place that an app serves.
	appHere := rightMode(in, at, prefixed) && rest != ""
	servable := appHere && !v.skewed
	switch {
	case servable && named:
		v.d.Kind, v.d.Rest, v.d.Rule = Serve, rest, serveRules[at]
		if isOwn {
			v.d.Kind, v.d.Own, v.d.Rule = Own, own, RuleOwn
		}
	case servable && v.upgrade && !isOwn && (v.bearer || in.Visibility == Public):
		v.d.Kind, v.d.Rest, v.d.Rule = Serve, rest, RuleServeUpgrade
	case appHere && named:
		v.redirect(primary, rest, 307, RuleSpelling)
	default:
		status, rule := v.row(in, at, prefixed, named)
		v.redirect(primary, rest, status, rule)
	}
}

// primary returns the instance's primary alias, and whether the name by which
// the request came is the one that the canonical URL uses.
func (v *visit) primary(in *Instance, at place) (primary string, named bool) {
	if at == atAlias && v.d.Alias.Name == in.Primary {
		return in.Primary, true // it led here, so it needs no check
	}
	primary = v.table.primary(v.site, in)
	switch at {
	case atID:
		named = primary == "" && in.Mode == Domain
	case atPath:
		named = primary == "" && in.Mode == BaseURL
	}
	return primary, named
}

// rightMode reports whether the app may be reached this way at all: by any
// host of a DOMAIN instance, under the prefix of a BASE_URL one.
func rightMode(in *Instance, at place, prefixed bool) bool {
	if in.Mode == Domain {
		return at != atPath
	}
	return at != atID && prefixed
}

var serveRules = [...]Rule{atID: RuleServeID, atPath: RuleServePath, atAlias: RuleServeAlias}

// row is the status and the rule of §3's row for a name that is not served.
func (v *visit) row(in *Instance, at place, prefixed, named bool) (int, Rule) {
	switch {
	case named && prefixed:
		return 307, RuleSlash
	case named:
		return 307, RuleAddPrefix
	case at == atAlias:
		return v.nameStatus(), RuleOtherAlias
	case at == atID && in.Mode == Domain:
		return v.nameStatus(), RuleIDToPrimary
	case at == atID:
		return 307, RuleIDToPath
	case in.Mode == Domain:
		return 307, RulePathToHost
	default:
		return v.nameStatus(), RulePathToPrimary
	}
}

// foreign decides for a path below an alias of a BASE_URL instance that begins
// with another instance's prefix: a link within the origin of all of them.
func (v *visit) foreign(id ID, rest string) {
	in := v.table.Instance(id)
	switch {
	case in == nil:
		v.d.answer(NotFound, 404, RuleForeignGone)
	case in.Mode == BaseURL && climbs(rest):
		v.d.answer(BadRequest, 400, RuleClimb)
	default:
		v.d.Instance = in
		v.redirect(v.table.primary(v.site, in), rest, 307, RuleForeign)
	}
}

// nameStatus is the status of a redirect for the wrong name: 302, or 307 in
// its place so that a POST keeps its method and body.
func (v *visit) nameStatus() int {
	if v.safe || v.site.strict {
		return 302
	}
	return 307
}

func (v *visit) redirect(primary, rest string, status int, rule Rule) {
	if rest == "" {
		rest = "/"
	}
	v.d.answer(Redirect, status, rule)
	v.d.Rest = rest
	v.d.Location = v.site.location(v.d.Instance, primary, rest, v.query)
}
