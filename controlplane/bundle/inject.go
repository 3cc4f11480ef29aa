package bundle

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
)

const (
	maxEnvValue  = 32 << 10
	maxFileValue = 128 << 10
)

var envRule = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// reservedEnv are the prefixes of names that the platform sets.
var reservedEnv = []string{"H2O_CLOUD", wavePrefix, "Q8S", "SLIPWAY"}

// wavePrefix begins names of which a server may allow some (AllowedEnv).
const wavePrefix = "H2O_WAVE"

// sections are the tables of [[Env]] or [[File]].
func (r *manifestReader) sections(name string) []section {
	v := r.doc.root.get(name)
	if v == nil {
		return nil
	}
	if v.kind != kindArray {
		r.fault(v, name, "must be an array of tables", "write [["+name+"]]")
		return nil
	}
	if len(v.items) > maxList {
		r.fault(v, name, fmt.Sprintf("has %d entries, the limit is %d", len(v.items), maxList), "put several values into one file")
		return nil
	}
	var out []section
	for i, x := range v.items {
		s := section{r: r, name: fmt.Sprintf("%s[%d]", name, i+1), table: x}
		if x.kind != kindTable {
			r.fault(x, s.name, "must be a table, not "+string(x.kind), "write [["+name+"]]")
			continue
		}
		s.warnUnknown(name)
		out = append(out, s)
	}
	return out
}

// source is where an Env or a File has its content from. One of a literal and
// a reference is required, and nothing of the other may be there.
type source struct {
	value, secret, key string
	optional           bool
}

func (r *manifestReader) source(s section, limit int) source {
	literal := s.typed("Value", kindString) // may be empty
	secret, key := s.str("Secret"), s.str("SecretKey")
	x := source{secret: r.plain(s, "Secret"), key: r.plain(s, "SecretKey"), optional: s.boolean("Optional")}
	r.checkReference(s, x)
	wrong := false // a fault of its own says enough
	for _, k := range []string{"Value", "Secret", "SecretKey"} {
		if v := s.table.get(k); v != nil && v.kind != kindString {
			wrong = true
		}
	}
	switch {
	case literal != nil && (secret != nil || key != nil):
		r.textFault(literal, s.field("Value"), "stands beside a secret", "keep either Value, or Secret and SecretKey")
	case literal != nil && x.optional:
		r.fault(s.table.get("Optional"), s.field("Optional"), "goes with a Secret only", "delete it")
	case literal != nil && len(literal.text) > limit:
		r.textFault(literal, s.field("Value"), fmt.Sprintf("has %d bytes, the limit is %d", len(literal.text), limit), "put it into a file of the bundle")
	case literal != nil:
		x.value = literal.text
	case wrong:
	case secret == nil && key == nil:
		r.missing(s, "Value", "has neither a Value nor a Secret", "write one of them; Value = \"\" is a value")
	case key == nil:
		r.fault(secret, s.field("Secret"), "there is no SecretKey", "write SecretKey too")
	case secret == nil:
		r.fault(key, s.field("SecretKey"), "there is no Secret", "write Secret too")
	}
	return x
}

// checkReference finds names and keys that no secret has. Capitals pass: the App
// Store's own examples have them.
func (r *manifestReader) checkReference(s section, x source) {
	if x.secret != "" && !controlplane.ValidSecretName(strings.ToLower(x.secret)) {
		r.fault(s.table.get("Secret"), s.field("Secret"), "is not the name of a secret", controlplane.SecretNameRule)
	}
	if x.key != "" && !controlplane.ValidSecretKey(x.key) {
		r.fault(s.table.get("SecretKey"), s.field("SecretKey"), "is not the key of a secret's value", controlplane.SecretKeyRule)
	}
}

func (r *manifestReader) env() {
	list := r.sections("Env")
	mode, link := r.m.Runtime.AppMode, r.m.Lifecycle == controlplane.Link
	for i, s := range list {
		if i == 0 && (link || mode == controlplane.Manual) {
			r.warnAt(s.table.at, controlplane.Fault{Code: WarnIgnored, Field: "Env", Message: "ignored: nothing is run that could have an environment"})
		}
		src := r.source(s, maxEnvValue)
		if v := s.table.get("Value"); v != nil && v.kind == kindString && strings.ContainsRune(v.text, 0) {
			r.textFault(v, s.field("Value"), "has a NUL character", "take it out: no variable can hold one")
		}
		v := s.str("Name")
		if v == nil {
			if x := s.table.get("Name"); x == nil || x.kind == kindString {
				r.missing(s, "Name", "is required", `write Name = "MY_VARIABLE"`)
			}
			continue
		}
		if !envRule.MatchString(v.text) || len(v.text) > maxPart {
			r.fault(v, s.field("Name"), "may have letters, digits and '_', and does not begin with a digit", "like MY_VARIABLE")
			continue
		}
		switch prefix := r.reserved(v.text); {
		case prefix == wavePrefix && r.o.AnyServer:
			r.warn(v, controlplane.Fault{Code: WarnServer, Field: s.field("Name"), Message: "names that begin with " + prefix + " are the platform's; the server may allow this one"})
		case prefix != "":
			r.fault(v, s.field("Name"), "names that begin with "+prefix+" are the platform's", "choose another name")
			continue
		}
		if j := slices.IndexFunc(r.m.Env, func(e controlplane.EnvVar) bool { return e.Name == v.text }); j >= 0 {
			r.warn(v, controlplane.Fault{Code: WarnDuplicateEnv, Field: s.field("Name"), Message: "is there twice, and this one counts", Hint: "delete the other"})
			r.m.Env = slices.Delete(r.m.Env, j, j+1)
		}
		r.m.Env = append(r.m.Env, controlplane.EnvVar{Name: v.text, Value: src.value, Secret: src.secret, SecretKey: src.key, Optional: src.optional})
	}
	if link || mode == controlplane.Manual {
		r.m.Env = nil
	}
}

// reserved is the prefix that keeps a name from apps, or "".
func (r *manifestReader) reserved(name string) string {
	for _, prefix := range reservedEnv {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if prefix == wavePrefix && (name == "H2O_WAVE_APP_MODE" || r.allowed(name)) {
			return ""
		}
		return prefix
	}
	return ""
}

func (r *manifestReader) allowed(name string) bool {
	for _, x := range r.o.AllowedEnv {
		rule, err := regexp.Compile(`^(?:` + x + `)$`)
		if name == x || err == nil && rule.MatchString(name) {
			return true
		}
	}
	return false
}

func (r *manifestReader) files() {
	list := r.sections("File")
	link, manual := r.m.Lifecycle == controlplane.Link, r.m.Runtime.AppMode == controlplane.Manual
	folders := map[string]string{}
	for i, s := range list {
		if i == 0 && link {
			r.fault(s.table, "File", "a LINK app runs nothing: there may be no [[File]]", "delete it, or change InstanceLifecycle")
		}
		if i == 0 && manual {
			r.warnAt(s.table.at, controlplane.Fault{Code: WarnIgnored, Field: "File", Message: "ignored: nothing is run that could have files"})
		}
		src := r.source(s, maxFileValue)
		v := s.str("Path")
		if v == nil {
			if x := s.table.get("Path"); x == nil || x.kind == kindString {
				r.missing(s, "Path", "is required", `write Path = "config/settings.json"`)
			}
			continue
		}
		clean, text := r.filePath(v.text)
		folder := path.Join(appRoot, path.Dir(clean))
		if path.IsAbs(clean) {
			folder = path.Dir(clean)
		}
		if other, ok := folders[folder]; ok && text == "" {
			text = "has the same folder as " + other + "; each [[File]] needs a folder of its own"
		}
		if text != "" {
			r.fault(v, s.field("Path"), text, `like "secrets/key.pem"`)
			continue
		}
		folders[folder] = s.name
		r.written = append(r.written, writtenFile{v, s.field("Path"), folder})
		r.m.Files = append(r.m.Files, controlplane.File{Path: clean, Value: src.value, Secret: src.secret, SecretKey: src.key, Optional: src.optional})
	}
	if link || manual {
		r.m.Files, r.written = nil, nil
	}
}

// filePath is the cleaned path of a [[File]], or what is wrong with it.
func (r *manifestReader) filePath(s string) (clean, text string) {
	clean = path.Clean(s)
	if slices.Contains(strings.Split(s, "/"), "..") {
		return clean, `has ".."`
	}
	if strings.HasSuffix(s, "/") {
		return clean, "names a folder, not a file"
	}
	if text := checkPath(strings.TrimPrefix(clean, "/")); text != "" {
		return clean, text
	}
	folder := path.Dir(clean)
	mount := r.m.Runtime.VolumeMount
	switch {
	case folder == "/" || folder == "." || folder == appRoot:
		return clean, `lies directly in "/" or in the app's root; only folders below are allowed`
	case within(folder, resourcesRoot):
		return clean, "lies in " + resourcesRoot
	case mount != "" && within(path.Join(appRoot, folder), mount) && !path.IsAbs(folder), mount != "" && path.IsAbs(folder) && within(folder, mount):
		return clean, "lies in the volume " + mount
	}
	return clean, ""
}

// within reports whether path is folder or lies below it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}
