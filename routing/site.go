package routing

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// instancePrefix is what a path below the base domain begins with when it
// names an instance. It is compared byte for byte.
const instancePrefix = "/instance/"

// SiteConfig is what an installation says about its names.
type SiteConfig struct {
	// BaseURL is the one public origin: http or https, a host name, perhaps a
	// port; no path but "/", no query, no user.
	BaseURL string

	// ConsoleHost is the console's host name without a port; default
	// "console." + the base domain. It must not be the base domain.
	ConsoleHost string

	// StrictAliasRedirect answers every method with 302 where GET gets one,
	// as the App Store does; otherwise other methods get a 307, so that a POST
	// keeps its method and body.
	StrictAliasRedirect bool
}

// Site is the validated names of an installation. Everything that a Location
// is built from is in it. It is immutable.
type Site struct {
	scheme       string
	base         string
	port         string // with its colon, or ""
	console      string
	consoleLabel string // console's label below the base domain, or ""
	start        string // scheme and "://"
	origin       string
	consoleURL   string
	strict       bool
}

// NewSite validates the configuration. The default port of the scheme is
// dropped, names are lower-cased.
func NewSite(config SiteConfig) (*Site, error) {
	site := &Site{strict: config.StrictAliasRedirect}
	if err := site.setBase(config.BaseURL); err != nil {
		return nil, fmt.Errorf("parse base url %q: %w", config.BaseURL, err)
	}
	console := config.ConsoleHost
	if console == "" {
		console = "console." + site.base
	}
	if err := site.setConsole(console); err != nil {
		return nil, fmt.Errorf("parse console host %q: %w", console, err)
	}
	return site, nil
}

func (s *Site) setBase(base string) error {
	u, err := url.Parse(base)
	if err != nil {
		return errors.New("not a URL")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("scheme must be http or https")
	case u.User != nil:
		return errors.New("must not name a user")
	case u.Path != "" && u.Path != "/", u.Opaque != "":
		return errors.New("must not have a path")
	case strings.ContainsAny(base, "?#"):
		return errors.New("must not have a query or a fragment")
	}
	host, err := siteHost(u.Hostname())
	if err != nil {
		return err
	}
	if longest := maxHost - maxLabel - 1; len(host) > longest {
		return fmt.Errorf("host is longer than %d characters: no label fits below it", longest)
	}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return errors.New("port must be 1 to 65535")
		}
		if (n != 80 || u.Scheme != "http") && (n != 443 || u.Scheme != "https") {
			s.port = ":" + strconv.FormatUint(n, 10)
		}
	}
	s.scheme, s.base = u.Scheme, host
	s.start = s.scheme + "://"
	s.origin = s.start + s.base + s.port
	return nil
}

func (s *Site) setConsole(console string) error {
	host, err := siteHost(console)
	if err != nil {
		return err
	}
	if host == s.base {
		return errors.New("is the base domain, which serves apps")
	}
	s.console = host
	s.consoleURL = s.start + host + s.port + "/"
	if label, ok := strings.CutSuffix(host, "."+s.base); ok {
		if _, isID := ParseID(label); isID {
			return errors.New("has the shape of an instance's host")
		}
		s.consoleLabel = label
	}
	return nil
}

// siteHost normalizes a configured host name: §1's grammar, without a port.
func siteHost(host string) (string, error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return "", errors.New("host is an IP address, not a name: instances could have no host below it")
	}
	parsed, ok := parseHost(host, "")
	switch {
	case host == "":
		return "", errors.New("host is missing")
	case !ok, strings.Contains(host, ":"):
		return "", errors.New("host must be labels of letters, digits and hyphens")
	case numericLast(parsed.name):
		return "", errors.New("host must not end in a number")
	}
	return strings.ToLower(parsed.name), nil
}

// Scheme returns the base URL's scheme, "http" or "https".
func (s *Site) Scheme() string { return s.scheme }

// BaseDomain returns the base URL's host without its port.
func (s *Site) BaseDomain() string { return s.base }

// ConsoleHost returns the console's host without a port.
func (s *Site) ConsoleHost() string { return s.console }

// Origin returns the base URL without a path: "https://apps.example.com:8443".
func (s *Site) Origin() string { return s.origin }

// Port returns the base URL's port, "" where it is the scheme's own.
func (s *Site) Port() string { return strings.TrimPrefix(s.port, ":") }

// ConsoleURL returns the console's URL, with the base URL's scheme and port.
func (s *Site) ConsoleURL() string { return s.consoleURL }

// CanonicalURL returns the URL of the instance that is never redirected, as
// its record says it: with its primary alias, if it names one.
func (s *Site) CanonicalURL(in *Instance) string {
	return s.location(in, in.Primary, "/", "")
}

// CanonicalURL returns the URL of a place at the instance that the table does
// not redirect. Rest begins with "/"; query is empty or begins with "?".
func (t *Table) CanonicalURL(s *Site, in *Instance, rest, query string) string {
	return s.location(in, t.primary(s, in), rest, query)
}

// CanonicalOrigin returns the origin of the instance's canonical URL, as a
// browser's Origin header has it.
func (t *Table) CanonicalOrigin(s *Site, in *Instance) string {
	host := Instance{ID: in.ID}
	if primary := t.primary(s, in); primary != "" || in.Mode == Domain {
		return s.location(&host, primary, "", "")
	}
	return s.origin
}

// AliasURL returns the URL of an alias's host: a label below the base domain,
// or a custom host name.
func (s *Site) AliasURL(name string) string {
	if strings.IndexByte(name, '.') >= 0 {
		return s.start + name + s.port + "/"
	}
	return s.start + name + "." + s.base + s.port + "/"
}

// AliasHost returns the host name of an alias, without a port.
func (s *Site) AliasHost(name string) string {
	if strings.IndexByte(name, '.') >= 0 {
		return name
	}
	return name + "." + s.base
}

// location builds an absolute URL of the instance under the primary alias (""
// is none), in one allocation. Rest begins with "/"; query is empty or begins
// with "?". Both are carried as they are.
func (s *Site) location(in *Instance, primary, rest, query string) string {
	id := in.ID.text()
	var b strings.Builder
	b.Grow(len(s.start) + len(primary) + idLen + 1 + len(s.base) + len(s.port) +
		len(instancePrefix) + idLen + len(rest) + len(query))
	b.WriteString(s.start)
	switch {
	case primary == "" && in.Mode == Domain:
		b.Write(id[:])
		b.WriteByte('.')
		b.WriteString(s.base)
	case primary == "":
		b.WriteString(s.base)
	case strings.IndexByte(primary, '.') >= 0:
		b.WriteString(primary)
	default:
		b.WriteString(primary)
		b.WriteByte('.')
		b.WriteString(s.base)
	}
	b.WriteString(s.port)
	if in.Mode == BaseURL {
		b.WriteString(instancePrefix)
		b.Write(id[:])
	}
	b.WriteString(rest)
	b.WriteString(query)
	return b.String()
}

// reachable reports whether requests for the alias's host get to the alias:
// not to the base domain, the console, an instance ID or nowhere.
func (s *Site) reachable(name string) bool {
	if !ValidAliasName(name) {
		return false
	}
	if strings.IndexByte(name, '.') < 0 {
		return name != s.consoleLabel
	}
	if name == s.base || name == s.console {
		return false
	}
	_, under := below(name, s.base)
	return !under
}
