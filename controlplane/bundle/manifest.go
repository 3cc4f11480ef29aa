package bundle

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/Masterminds/semver/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// ParseManifest reads app.toml by itself: every rule of spec apps.md §2 but
// those that need the bundle's files (LongDescription, VolumeMount and
// AppEntryPoint against what is there). Warnings come with an error too.
func ParseManifest(data []byte, o Options) (controlplane.Manifest, []controlplane.Fault, error) {
	f := &faults{}
	r := newManifestReader(manifestName, o.withDefaults(), f)
	if len(data) > maxManifest {
		f.add(controlplane.Fault{Code: CodeManifest, Where: manifestName, Message: fmt.Sprintf("has %d bytes, the limit is %d", len(data), maxManifest)})
	} else {
		r.read(data)
	}
	if err := f.err(); err != nil {
		return controlplane.Manifest{}, f.warnings, err
	}
	return r.m, f.warnings, nil
}

// manifestReader turns a document into a Manifest, and what is wrong with it
// into faults.
type manifestReader struct {
	name string // of the file
	o    Options
	f    *faults
	doc  *document // nil where it is not TOML
	m    controlplane.Manifest

	// What is checked against the bundle's files later.
	description, mount, entryPoint *value
	written                        []writtenFile
}

func newManifestReader(name string, o Options, f *faults) *manifestReader {
	return &manifestReader{name: name, o: o, f: f}
}

func (r *manifestReader) read(data []byte) {
	faults, warnings := len(r.f.list), len(r.f.warnings)
	if r.doc = parseDocument(r.name, data, r.f); r.doc == nil {
		return
	}
	r.warnTables()
	r.app(r.section("App"))
	runtime, link := r.section("Runtime"), r.section("Link")
	if r.m.Lifecycle == controlplane.Link {
		r.link(link, runtime)
	} else {
		r.notLink(link)
		r.runtime(runtime)
	}
	r.env()
	r.files()
	byPosition(r.f.list[faults:])
	byPosition(r.f.warnings[warnings:])
}

// byPosition puts the faults of one file in the order of its lines.
func byPosition(list []controlplane.Fault) {
	slices.SortStableFunc(list, func(a, b controlplane.Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// section is the table of that name; a value that is no table is a fault.
func (r *manifestReader) section(name string) section {
	s := section{r: r, name: name}
	v := r.doc.root.get(name)
	switch {
	case v == nil:
	case v.kind != kindTable:
		r.fault(v, name, "must be a table", "write ["+name+"], once")
	default:
		s.table = v
		s.warnUnknown(name)
	}
	return s
}

func (r *manifestReader) warnTables() {
	for _, v := range r.doc.root.order {
		if len(r.f.warnings) >= maxFaults {
			return
		}
		if containsFold(tableNames, v.key) {
			continue
		}
		x := controlplane.Fault{Code: WarnUnknownKey, Field: v.key, Message: "unknown key, not used"}
		if v.kind == kindTable || v.kind == kindArray {
			x.Message = "unknown table, not used"
			if near := nearest(v.key, tableNames); near != "" {
				x.Hint = "did you mean " + header(near) + "?"
			}
		} else {
			for _, table := range tableNames {
				if containsFold(knownKeys[table], v.key) {
					x.Hint = "it belongs below " + header(table)
					break
				}
			}
		}
		r.warnAt(v.keyAt, x)
	}
}

// The most characters of what a manifest says of the app. Every list has title
// and description, and every edge the title, for its waiting page.
const (
	maxName        = 63
	maxTitle       = 200
	maxDescription = 4000
	maxLink        = 2000
)

var nameRule = regexp.MustCompile(`^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$`)

func (r *manifestReader) app(s section) {
	name, version := r.label(s, "Name"), r.label(s, "Version")
	if version != nil {
		r.version(s, version)
	}
	if name != nil && version != nil {
		r.m.Name, r.m.Version = name.text, version.text
		if joined := name.text + "-" + version.text; len(joined) > maxName {
			r.fault(version, "App.Version", fmt.Sprintf("%q has %d characters, Name-Version may have %d", joined, len(joined), maxName), "shorten the name or the version")
		}
	}
	r.m.Title = r.line(s, "Title", maxTitle)
	if r.m.Title == "" {
		r.m.Title = r.m.Name
	}
	r.m.Description = r.line(s, "Description", maxDescription)
	if v := s.str("LongDescription"); v != nil {
		if text := checkPath(path.Clean(v.text)); text != "" {
			r.fault(v, "App.LongDescription", text, "write the path of a Markdown file of the bundle, like README.md")
		} else {
			r.m.LongDescription, r.description = path.Clean(v.text), v
		}
	}
	r.tags(s)
	lifecycle, _ := s.enum("InstanceLifecycle", string(controlplane.OnDemand), string(controlplane.OnDemand), string(controlplane.Managed), string(controlplane.Link))
	r.m.Lifecycle = controlplane.Lifecycle(lifecycle)
	if v := s.str("InstanceTimeout"); v != nil {
		r.m.InstanceTimeout = r.timeout(v)
	}
}

// label is the Name or the Version, or nil after a fault.
func (r *manifestReader) label(s section, key string) *value {
	v := s.str(key)
	switch {
	case v == nil:
		if x := s.table.get(key); x == nil || x.kind == kindString {
			r.missing(s, key, "is required", map[string]string{"Name": `write Name = "my-app" below [App]`, "Version": `write Version = "0.1.0" below [App]`}[key])
		}
		return nil
	case len(v.text) > maxName:
		r.fault(v, s.field(key), fmt.Sprintf("has %d characters, the limit is %d", len(v.text), maxName), "shorten it")
		return nil
	case key == "Version" && strings.Contains(v.text, "+"):
		r.fault(v, s.field(key), "has build metadata", "leave out everything from the + on")
		return nil
	case !nameRule.MatchString(v.text):
		r.fault(v, s.field(key), "may have letters, digits, '-', '_' and '.', and begins and ends with a letter or digit", mendLabel(key, v.text))
		return nil
	}
	return v
}

// line is a text of one line.
func (r *manifestReader) line(s section, key string, limit int) string {
	text := oneLine(s.text(key))
	if n := utf8.RuneCountInString(text); n > limit {
		r.textFault(s.str(key), s.field(key), fmt.Sprintf("has %d characters, the limit is %d", n, limit), "shorten it; LongDescription names a file that may say more")
		return ""
	}
	return text
}

var badLabel = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// mendLabel is what a Name or a Version may have been meant to be.
func mendLabel(key, text string) string {
	if m := strings.Trim(badLabel.ReplaceAllString(text, "-"), "-_."); m != "" && len(m) <= maxName {
		return fmt.Sprintf("write %s = %q", key, m)
	}
	return map[string]string{"Name": "like my-app", "Version": "like 1.2.3"}[key]
}

func (r *manifestReader) version(s section, v *value) {
	if _, err := semver.StrictNewVersion(v.text); err == nil {
		return
	}
	x, err := semver.NewVersion(v.text)
	if err != nil {
		r.fault(v, s.field("Version"), "is not a semantic version", "write MAJOR.MINOR.PATCH, like 1.2.3 or 1.2.3-rc.1")
		return
	}
	r.warn(v, controlplane.Fault{Code: WarnVersion, Field: s.field("Version"), Message: "is not semver as written, and counts as " + x.String(), Hint: "write " + x.String()})
}

// categoryTags are the tags that the App Store's older categories became.
var categoryTags = map[string]string{
	"data science":       "DATA_SCIENCE",
	"financial services": "FINSERV",
	"finserv":            "FINSERV",
	"finserve":           "FINSERV",
	"healthcare":         "HEALTHCARE",
	"insurance":          "INSURANCE",
	"manufacturing":      "MANUFACTURING",
	"marketing":          "MARKETING",
	"retail":             "RETAIL",
	"sales":              "SALES",
	"telecommunications": "TELECOM",
}

func (r *manifestReader) tags(s section) {
	tags, _ := s.list("Tags", false)
	for _, t := range tags {
		if !slices.Contains(r.m.Tags, t) {
			r.m.Tags = append(r.m.Tags, t)
		}
	}
	r.m.Keywords, _ = s.list("Keywords", true)
	v := s.str("Category")
	if v == nil {
		return
	}
	r.m.Category = v.text
	tag, ok := categoryTags[strings.ToLower(strings.Join(strings.Fields(strings.ReplaceAll(v.text, "_", " ")), " "))]
	switch {
	case !ok:
		r.warn(v, controlplane.Fault{Code: WarnCategory, Field: "App.Category", Message: "has no tag; the app gets none for it", Hint: "use Tags"})
	case !slices.Contains(r.m.Tags, tag):
		r.m.Tags = append(r.m.Tags, tag)
	}
}

var durationRule = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?[smh])+$`)

// timeout is the duration, -1 for never, or 0 after a fault.
func (r *manifestReader) timeout(v *value) time.Duration {
	if v.text == "-1" {
		return -1
	}
	d, err := time.ParseDuration(v.text)
	if err != nil || !durationRule.MatchString(v.text) || d <= 0 {
		r.fault(v, "App.InstanceTimeout", "must be a duration above 0 in s, m or h, or -1", `like "30s", "10m", "1h30m"; "-1" is never`)
		return 0
	}
	return d
}

// link checks a LINK app: an address, and nothing to run.
func (r *manifestReader) link(s, runtime section) {
	r.m.Runtime.AppMode = controlplane.Wave
	v := s.str("Address")
	if v == nil {
		if x := s.table.get("Address"); x == nil || x.kind == kindString {
			r.missing(s, "Address", "is required where InstanceLifecycle is LINK", "write Address = \"https://…\" below [Link]")
		}
	} else if u, text := checkURL(v.text); text != "" {
		r.fault(v, "Link.Address", text, "write an address like https://example.com/page")
	} else {
		r.m.LinkAddress = u.String()
	}
	if runtime.table != nil {
		for _, x := range runtime.table.order {
			if containsFold(knownKeys["Runtime"], x.key) && !x.zero() {
				r.fault(x, "Runtime."+x.key, "a LINK app runs nothing: [Runtime] must be empty", "delete it, or change InstanceLifecycle")
			}
		}
	}
}

func (r *manifestReader) notLink(s section) {
	if v := s.str("Address"); v != nil {
		r.warn(v, controlplane.Fault{Code: WarnIgnored, Field: "Link.Address", Message: "ignored: the app is not a LINK", Hint: `write InstanceLifecycle = "LINK" below [App], or delete [Link]`})
	}
}

// zero reports a value that says nothing: "", 0, false, [].
func (v *value) zero() bool {
	switch v.kind {
	case kindString:
		return v.text == ""
	case kindArray:
		return len(v.items) == 0
	case kindTable:
		return len(v.order) == 0
	case kindInteger:
		return v.raw == "0"
	case kindBool:
		return v.raw == "false"
	}
	return false
}

var hostRule = regexp.MustCompile(`^[\pL\pN]([\pL\pN._-]*[\pL\pN])?\.?$`)

// checkURL takes absolute http and https addresses without user information
// whose host is a name or an IP address.
func checkURL(s string) (*url.URL, string) {
	if strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\\'
	}) {
		return nil, "has a space, a backslash or a control character"
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, "is not a URL"
	case u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "":
		return nil, "is not an absolute http or https URL"
	case u.User != nil:
		return nil, "has user information"
	case len(s) > maxLink:
		return nil, fmt.Sprintf("has %d characters, the limit is %d", len(s), maxLink)
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err != nil && (len(host) > 253 || !hostRule.MatchString(host)) {
		return nil, "has no host that could be a name or an address"
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return nil, "has a port that is not between 1 and 65535"
		}
	}
	return u, ""
}

// oneLine makes one line of a text: line breaks and other control characters
// become spaces.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	}), " ")
}
