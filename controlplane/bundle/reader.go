package bundle

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/spelling"
)

// maxList is how many entries a list of app.toml may have.
const maxList = 200

// knownKeys are the keys of each table of app.toml.
var knownKeys = map[string][]string{
	"App": {"Name", "Version", "Title", "Description", "LongDescription", "Tags", "Category", "Keywords", "InstanceLifecycle", "InstanceTimeout"},
	"Runtime": {
		"Module", "RuntimeVersion", "VolumeMount", "VolumeSize", "ResourceVolumeSize", "MemoryLimit", "MemoryReservation",
		"CPULimit", "CPUReservation", "GPUCount", "GPUType", "EnableOIDC", "EnableSHM", "RoutingMode", "AppMode", "Port",
		"CustomImage", "AppArgs", "AppEntryPoint", "HealthPath", "Address",
	},
	"Env":  {"Name", "Value", "Secret", "SecretKey", "Optional"},
	"File": {"Path", "Value", "Secret", "SecretKey", "Optional"},
	"Link": {"Address"},
}

var tableNames = []string{"App", "Runtime", "Env", "File", "Link"}

// template is what the template languages in use leave behind when nobody
// rendered them: {{VERSION}}, {% if %}, ${NAME}, <your name>.
var template = regexp.MustCompile(`\{\{|\}\}|\{%|\$\{|<[^<>\n]+>`)

// section reads one table. Every getter returns nil for a key that is not
// there, that is an empty string, or whose type is wrong, which is a fault.
type section struct {
	r     *manifestReader
	name  string // "Runtime", "Env[2]"
	table *value // nil where the document has none
}

func (s section) field(key string) string { return s.name + "." + key }

func (s section) typed(key string, want kind) *value {
	v := s.table.get(key)
	if v == nil {
		return nil
	}
	if v.kind != want {
		s.r.fault(v, s.field(key), fmt.Sprintf("must be %s, not %s", want, v.kind), retype(key, v, want))
		return nil
	}
	return v
}

// retype is the line to write instead, where it can be told.
func retype(key string, v *value, want kind) string {
	switch {
	case want == kindString && (v.kind == kindInteger || v.kind == kindFloat || v.kind == kindBool || v.kind == kindTime):
		return fmt.Sprintf("write %s = %q", key, v.raw)
	case want == kindInteger && v.kind == kindString:
		if n, err := strconv.Atoi(strings.TrimSpace(v.text)); err == nil {
			return fmt.Sprintf("write %s = %d", key, n)
		}
	case want == kindBool && v.kind == kindString:
		if b, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(v.text))); err == nil {
			return fmt.Sprintf("write %s = %t", key, b)
		}
	case want == kindBool && v.kind == kindInteger && (v.raw == "0" || v.raw == "1"):
		return fmt.Sprintf("write %s = %t", key, v.raw == "1")
	case want == kindArray && v.kind == kindString:
		return fmt.Sprintf("write %s = [%q]", key, v.text)
	}
	return map[kind]string{
		kindString: "write " + key + ` = "…"`, kindInteger: "write " + key + " = 1", kindBool: "write " + key + " = true, or false", kindArray: "write " + key + ` = ["…"]`,
	}[want]
}

// retypeItem is the string to write in an array.
func retypeItem(x *value) string {
	if x.raw == "" || x.kind == kindArray || x.kind == kindTable {
		return "take it out"
	}
	return fmt.Sprintf("write %q", x.raw)
}

func (s section) str(key string) *value {
	v := s.typed(key, kindString)
	if v == nil || v.text == "" {
		return nil
	}
	return v
}

func (s section) text(key string) string {
	if v := s.str(key); v != nil {
		return v.text
	}
	return ""
}

func (s section) boolean(key string) bool {
	v := s.typed(key, kindBool)
	return v != nil && v.raw == "true"
}

// integer is 0, nil where there is none. Its value lies between least and most.
func (s section) integer(key string, least, most int) (int, *value) {
	v := s.typed(key, kindInteger)
	if v == nil {
		return 0, nil
	}
	n, err := strconv.ParseInt(v.raw, 0, 64)
	if err != nil || n < int64(least) || n > int64(most) {
		s.r.fault(v, s.field(key), fmt.Sprintf("must lie between %d and %d", least, most), fmt.Sprintf("like %s = %d", key, min(least+1, most)))
		return 0, nil
	}
	return int(n), v
}

// list is an array of strings, none of which has a NUL.
func (s section) list(key string, empty bool) ([]string, *value) {
	v := s.typed(key, kindArray)
	if v == nil || len(v.items) == 0 {
		return nil, nil
	}
	if len(v.items) > maxList {
		s.r.fault(v, s.field(key), fmt.Sprintf("has %d entries, the limit is %d", len(v.items), maxList), "leave some out")
		return nil, nil
	}
	var out []string
	for i, x := range v.items {
		field := fmt.Sprintf("%s[%d]", s.field(key), i+1)
		switch {
		case x.kind != kindString:
			s.r.fault(x, field, "must be a string, not "+string(x.kind), retypeItem(x))
		case strings.ContainsRune(x.text, 0):
			s.r.fault(x, field, "has a NUL character", "take it out")
		case x.text == "" && !empty:
			s.r.fault(x, field, "is empty", "take it out")
		default:
			out = append(out, x.text)
		}
	}
	return out, v
}

// enum is one of some values in any case; def where there is none. After a fault
// it is what was most likely meant, so that the rules of that are asked too, or
// def.
func (s section) enum(key, def string, among ...string) (string, *value) {
	v := s.str(key)
	if v == nil {
		return def, nil
	}
	for _, x := range among {
		if strings.EqualFold(x, v.text) {
			return x, v
		}
	}
	hint := "one of " + strings.Join(among, ", ")
	if x := nearest(v.text, among); x != "" {
		def, hint = x, "did you mean "+x+"? It is "+hint
	}
	s.r.fault(v, s.field(key), "is no such value", hint)
	return def, nil
}

// warnUnknown warns of keys that nobody reads.
func (s section) warnUnknown(table string) {
	if s.table == nil {
		return
	}
	for _, v := range s.table.order {
		if len(s.r.f.warnings) >= maxFaults {
			return // positions are not free
		}
		if containsFold(knownKeys[table], v.key) {
			continue
		}
		hint := ""
		if x := nearest(v.key, knownKeys[table]); x != "" {
			hint = "did you mean " + x + "?"
		} else {
			for _, other := range tableNames {
				if containsFold(knownKeys[other], v.key) {
					hint = "it belongs to " + header(other)
					break
				}
			}
		}
		s.r.warnAt(v.keyAt, controlplane.Fault{Code: WarnUnknownKey, Field: s.field(v.key), Message: "unknown key, not used", Hint: hint})
	}
}

func header(table string) string {
	if table == "Env" || table == "File" {
		return "[[" + table + "]]"
	}
	return "[" + table + "]"
}

func containsFold(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}

// fault is a rule that v breaks. A value that looks like a template that
// nobody rendered is told so instead of how to obey the rule.
func (r *manifestReader) fault(v *value, field, message, hint string) {
	x := controlplane.Fault{Code: CodeManifest, Where: r.name, Field: field, Message: message, Hint: hint}
	if v.kind == kindString && template.MatchString(v.text) {
		x.Code, x.Hint = CodeManifestRender, "render the template before packing, or write the value"
		x.Message = "looks like a template that was not rendered, and " + message
	}
	r.faultAt(v, x)
}

// textFault is a fault of free text, in which the characters of templates are
// just text.
func (r *manifestReader) textFault(v *value, field, message, hint string) {
	r.faultAt(v, controlplane.Fault{Code: CodeManifest, Where: r.name, Field: field, Message: message, Hint: hint})
}

func (r *manifestReader) faultAt(v *value, x controlplane.Fault) {
	if r.f.full() {
		return
	}
	x.Line, x.Column = r.doc.position(v.at)
	switch v.kind {
	case kindString:
		x.Value = v.text
	case kindTable:
	default:
		x.Value = v.raw
	}
	r.f.add(x)
}

// missing is a fault of a key that is not there, at its table's header.
func (r *manifestReader) missing(s section, key, message, hint string) {
	if r.f.full() {
		return
	}
	x := controlplane.Fault{Code: CodeManifest, Where: r.name, Line: 1, Column: 1, Field: s.field(key), Message: message, Hint: hint}
	if v := s.table.get(key); v != nil {
		x.Line, x.Column = r.doc.position(v.at)
	} else if s.table != nil {
		x.Line, x.Column = r.doc.position(s.table.at)
	}
	r.f.add(x)
}

func (r *manifestReader) warn(v *value, x controlplane.Fault) {
	if v.kind == kindString {
		x.Value = v.text
	}
	r.warnAt(v.at, x)
}

func (r *manifestReader) warnAt(offset int, x controlplane.Fault) {
	x.Where = r.name
	x.Line, x.Column = r.doc.position(offset)
	r.f.warn(x)
}

// nearest is the one of a few names that s was most likely meant to be.
func nearest(s string, among []string) string {
	if len(s) > 64 {
		return ""
	}
	best, least := "", max(2, min(len(s), 12)/3)+1
	for _, x := range among {
		if n := spelling.Distance(foldCase(s), foldCase(x)); n < least && n < len(x) {
			best, least = x, n
		}
	}
	return best
}
