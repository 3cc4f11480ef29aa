package routing

import "strings"

// The limits of a host name and of one of its labels, in characters.
const (
	maxHost  = 253
	maxLabel = 63
)

// HostKind is what a host name is.
type HostKind uint8

// The kinds of hosts, after the table of §1.
const (
	HostInvalid  HostKind = iota // not a host name: 400
	HostUnknown                  // 404
	HostBase                     // the base domain
	HostConsole                  // the console's host
	HostInstance                 // <ID>.<base>; its Instance is nil if the ID is unknown
	HostAlias                    // an alias; its Instance is nil if it leads nowhere
)

// Host is what one host name leads to.
type Host struct {
	Kind     HostKind
	Instance *Instance
	Alias    *Alias

	rule Rule // why it leads nowhere
	dot  bool // it was spelled with a trailing dot
}

// Live reports whether requests for the host are answered with anything else
// than 404: whether it is worth a certificate.
func (h Host) Live() bool {
	switch h.Kind {
	case HostBase, HostConsole:
		return true
	case HostInstance, HostAlias:
		return h.Instance != nil
	default:
		return false
	}
}

// Host tells what a host name, as a Host header carries it, leads to. It does
// not allocate.
func (t *Table) Host(s *Site, host string) Host {
	parsed, ok := parseHost(host, s.base)
	if !ok {
		return Host{Kind: HostInvalid, rule: RuleHost}
	}
	h := t.lookUp(s, parsed)
	h.dot = parsed.dot
	return h
}

func (t *Table) lookUp(s *Site, host hostname) Host {
	if host.is(s.base) {
		return Host{Kind: HostBase}
	}
	if host.is(s.console) {
		return Host{Kind: HostConsole}
	}
	label := host.label
	if label == "" {
		return t.customDomain(host)
	}
	if host.isID {
		if in := t.Instance(host.id); in != nil {
			return Host{Kind: HostInstance, Instance: in}
		}
		return Host{Kind: HostInstance, rule: RuleUnknownID}
	}
	if strings.IndexByte(label, '.') >= 0 {
		return Host{Kind: HostUnknown, rule: RuleManyLabels}
	}
	if alias := t.aliasOf(label, host.upper); alias != nil {
		return t.aliasHost(alias)
	}
	return Host{Kind: HostUnknown, rule: RuleUnknownLabel}
}

// customDomain looks for a whole host name outside the base domain. A name
// without a dot would be found as a label, and an IPv4 address is nobody's.
func (t *Table) customDomain(host hostname) Host {
	if strings.IndexByte(host.name, '.') >= 0 && !numericLast(host.name) {
		if alias := t.aliasOf(host.name, host.upper); alias != nil {
			return t.aliasHost(alias)
		}
	}
	return Host{Kind: HostUnknown, rule: RuleUnknownHost}
}

func (t *Table) aliasHost(alias *Alias) Host {
	if alias.Assigned {
		if in := t.Instance(alias.Instance); in != nil {
			return Host{Kind: HostAlias, Alias: alias, Instance: in}
		}
	}
	return Host{Kind: HostAlias, Alias: alias, rule: RuleInactiveAlias}
}

// hostname is a host that follows §1's grammar. Its name is as received but
// for port and dot: lower-casing is left to the comparisons, so that an
// upper-case host costs no allocation.
type hostname struct {
	name  string
	label string // what stands before "." + the base domain; "" if nothing does
	id    ID     // the label's, if it is one
	isID  bool
	upper bool // the name holds upper-case letters
	dot   bool // a trailing dot was dropped
}

// parseHost applies §1: one port of digits, 1 to 65535, or an empty one; one
// trailing dot; labels of 1 to 63 letters, digits and hyphens; 253 in all. The
// base domain, which nearly every host ends with, is not checked again; "" if
// there is none yet.
func parseHost(host, base string) (hostname, bool) {
	name, port := cutPort(host)
	if port != "" && !validPort(port) {
		return hostname{}, false
	}
	h := hostname{name: name}
	if end := len(name) - 1; end >= 0 && name[end] == '.' {
		h.name, h.dot = name[:end], true
	}
	if len(h.name) > maxHost {
		return hostname{}, false
	}
	if h.name == base {
		return h, base != ""
	}
	check := h.name
	if label, under := below(h.name, base); under && base != "" {
		h.label, check = label, label
		if h.id, h.upper, h.isID = parseID(label); h.isID {
			return h, true // an ID is a label
		}
	}
	var ok bool
	if h.upper, ok = checkLabels(check); !ok {
		return hostname{}, false
	}
	if h.upper && h.label == "" {
		h.label = h.belowFolded(base)
		h.id, _, h.isID = parseID(h.label)
	}
	return h, true
}

// checkLabels reports whether labels, with dots between them, are valid, and
// whether they hold upper-case letters.
func checkLabels(s string) (upper, ok bool) {
	marks, start := byte(0), 0
	for i := range len(s) {
		c := s[i]
		marks |= hostMarks[c]
		if c == '.' {
			if i == start || i-start > maxLabel {
				return false, false
			}
			start = i + 1
		}
	}
	if marks&hostBad != 0 || len(s) == start || len(s)-start > maxLabel {
		return false, false
	}
	return marks&hostUpper != 0, true
}

// cutPort splits at the colon that only digits follow. Any other colon stays
// in the name, where none is allowed.
func cutPort(host string) (name, port string) {
	for i := len(host) - 1; i >= 0; i-- {
		if c := host[i]; c == ':' {
			return host[:i], host[i+1:]
		} else if c < '0' || c > '9' {
			break
		}
	}
	return host, ""
}

// validPort takes digits. Leading zeros are none of §1's business.
func validPort(digits string) bool {
	n := 0
	for i := range len(digits) {
		if n = n*10 + int(digits[i]-'0'); n > 65535 {
			return false
		}
	}
	return n > 0
}

// is compares with a name in lower case.
func (h hostname) is(name string) bool {
	return len(h.name) == len(name) && equal(h.name, name, h.upper)
}

// belowFolded is below for a name with upper-case letters, in its own case.
func (h hostname) belowFolded(base string) string {
	at := len(h.name) - len(base)
	if at < 2 || h.name[at-1] != '.' || !equal(h.name[at:], base, true) {
		return ""
	}
	return h.name[:at-1]
}

// below returns what stands before "." + base, which is not empty.
func below(name, base string) (string, bool) {
	at := len(name) - len(base)
	if at < 2 || name[at-1] != '.' || name[at:] != base {
		return "", false
	}
	return name[:at-1], true
}

// equal compares strings of one length; lower is in lower case.
func equal(s, lower string, fold bool) bool {
	if !fold {
		return s == lower
	}
	for i := range len(s) {
		if lowerOf(s[i]) != lower[i] {
			return false
		}
	}
	return true
}

func lowerOf(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// numericLast reports whether the last label is a number: then the name is an
// IPv4 address, or what a client may take for one.
func numericLast(name string) bool {
	for i := len(name) - 1; i >= 0 && name[i] != '.'; i-- {
		if name[i] < '0' || name[i] > '9' {
			return false
		}
	}
	return true
}

// The marks in hostMarks; letters in lower case, digits, hyphen and dot have
// none.
const (
	hostBad   = 1 << iota // not in a host name
	hostUpper             // an upper-case letter
)

var hostMarks = func() (marks [256]byte) {
	for i := range marks {
		switch c := byte(i); {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.':
		case 'A' <= c && c <= 'Z':
			marks[i] = hostUpper
		default:
			marks[i] = hostBad
		}
	}
	return marks
}()
