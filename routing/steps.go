package routing

import "fmt"

// The steps of spec/routing.md §4 that a decision takes. What follows them,
// StepAuthorized and StepRunning, is for whoever serves the request.
const (
	StepParse      = "parse"
	StepMethod     = "method"
	StepKnown      = "known"
	StepCanonical  = "canonical"
	StepAuthorized = "authorized"
	StepRunning    = "running"
)

// Step is one question that a request is asked, and how it was answered.
type Step struct {
	Name   string
	Status int    // of the edge's answer, where the request ends here by one
	Rule   string // the row or rule that applied, in a sentence
	Found  string // what it was applied to
}

// Steps tells how the table's decision about a request came about. The last
// step is the one that decided. All is read off the decision, but for what kind
// of host it was, which the table is asked once more.
//
// Steps are in the order of §4, but a method that is refused whatever the host
// is has been the only question.
func (t *Table) Steps(s *Site, r Request, d Decision) []Step {
	at := d.Rule.step()
	if at == StepMethod {
		return []Step{d.end(StepMethod, r.methodText())}
	}
	if at == StepParse {
		return []Step{d.end(StepParse, r.nameText())}
	}
	host := t.Host(s, r.authority()).Kind
	steps := []Step{
		{Name: StepParse, Rule: "the host is a host name and the target a path", Found: r.nameText()},
		{Name: StepMethod, Rule: "the method is taken", Found: r.methodText()},
	}
	if at == StepKnown {
		return append(steps, d.end(StepKnown, d.hostText(host)+d.pathText(host)))
	}
	steps = append(steps, Step{Name: StepKnown, Rule: d.knownRule(host), Found: d.hostText(host) + d.pathText(host) + d.leadsText()})
	return append(steps, d.end(StepCanonical, d.canonicalText()))
}

// end is the step that decided.
func (d *Decision) end(name, found string) Step {
	return Step{Name: name, Status: d.Status, Rule: d.Rule.String(), Found: found}
}

// step is where a rule is asked.
func (r Rule) step() string {
	switch {
	case r <= RuleOptions:
		return StepMethod
	case r <= RuleTarget:
		return StepParse
	case r <= RuleConsole:
		return StepKnown
	default:
		return StepCanonical
	}
}

func (r Request) methodText() string {
	switch {
	case r.Protocol != "":
		return r.Method + " with :protocol " + r.Protocol
	case r.Upgrade:
		return r.Method + ", an upgrade to a WebSocket"
	}
	return r.Method
}

// authority is what names the host.
func (r Request) authority() string {
	if authority, _, absolute := splitAuthority(r.Target); absolute {
		return authority
	}
	return r.Host
}

// nameText is the host and the target as they came. They may hold anything.
func (r Request) nameText() string {
	if authority, rest, absolute := splitAuthority(r.Target); absolute {
		return fmt.Sprintf("host %q of the target, target %q", authority, rest)
	}
	return fmt.Sprintf("host %q, target %q", r.Host, r.Target)
}

func (d *Decision) hostText(host HostKind) string {
	switch {
	case d.Alias != nil && d.Alias.Assigned:
		return "alias " + d.Alias.Name + ", assigned to instance " + d.Alias.Instance.String()
	case d.Alias != nil:
		return "alias " + d.Alias.Name + ", unassigned"
	case host == HostBase:
		return "the base domain"
	case host == HostConsole:
		return "the console's host"
	case host == HostInstance:
		return "an instance ID below the base domain"
	}
	return "an unknown host"
}

// pathText is the path where that took part in what the host leads to.
func (d *Decision) pathText(host HostKind) string {
	if host == HostBase || d.Rule == RuleForeign || d.Rule == RuleForeignGone {
		return fmt.Sprintf(", path %q", d.Path)
	}
	return ""
}

// leadsText names the instance where the host alone does not.
func (d *Decision) leadsText() string {
	if d.Instance == nil || d.Alias != nil && d.Alias.Instance == d.Instance.ID {
		return ""
	}
	return ", instance " + d.Instance.ID.String()
}

func (d *Decision) knownRule(host HostKind) string {
	switch {
	case d.Rule == RuleConsoleRoot:
		return "the base domain is known"
	case d.Rule == RuleForeign:
		return "the path names another live instance than the alias does"
	case host == HostAlias:
		return "the alias leads to a live instance"
	case host == HostBase:
		return "the path begins with a live instance's prefix"
	}
	return "the label is a live instance's ID"
}

func (d *Decision) canonicalText() string {
	switch {
	case d.Kind == Redirect:
		return "to " + d.Location
	case d.Kind == BadRequest:
		return fmt.Sprintf("path %q", d.Path)
	case d.Rule == RuleServeUpgrade && d.Instance.Visibility == Public:
		return "the instance is PUBLIC"
	case d.Rule == RuleServeUpgrade:
		return "the request carries a bearer"
	}
	return fmt.Sprintf("mode %s, path %q below the instance's name", d.Instance.Mode, d.Rest)
}
