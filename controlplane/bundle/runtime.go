package bundle

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/seed-dbc68772/slipway/controlplane"
)

const (
	appRoot       = "/app"       // of the bundle's files, as an app sees it
	resourcesRoot = "/resources" // of the virtual environment
)

var appModes = []string{
	string(controlplane.Wave), string(controlplane.Python), string(controlplane.Container),
	string(controlplane.Binary), string(controlplane.Manual),
}

// unusedKeys are the keys of [Runtime] that mean nothing to a mode.
var unusedKeys = map[controlplane.AppMode][]string{
	controlplane.Wave:      {"Port", "Address", "AppArgs", "AppEntryPoint"},
	controlplane.Python:    {"Address", "AppArgs", "AppEntryPoint"},
	controlplane.Container: {"Module", "RuntimeVersion", "Address"},
	controlplane.Binary:    {"Module", "RuntimeVersion", "CustomImage", "Address"},
	controlplane.Manual: {
		"Module", "RuntimeVersion", "VolumeMount", "VolumeSize", "ResourceVolumeSize", "MemoryLimit", "MemoryReservation",
		"CPULimit", "CPUReservation", "GPUCount", "GPUType", "EnableSHM", "Port", "CustomImage", "AppArgs", "AppEntryPoint",
	},
}

var moduleRule = regexp.MustCompile(`^[\pL_][\pL\pN_-]*(\.[\pL_][\pL\pN_-]*)*$`)

// sampleApp is the entry point of Slipway's own sample, which the binary
// itself is.
var sampleApp = []string{"slipway", "sample-app"}

func (r *manifestReader) runtime(s section) {
	rt := &r.m.Runtime
	mode, written := s.enum("AppMode", string(controlplane.Wave), appModes...)
	rt.AppMode = controlplane.AppMode(mode)
	if v := s.table.get("AppMode"); written != nil || v == nil || v.zero() { // else any key may be used
		for _, key := range unusedKeys[rt.AppMode] {
			s.ignored(key, fmt.Sprintf("AppMode %q does not use it", mode))
		}
	}
	routing, v := s.enum("RoutingMode", "", string(controlplane.Domain), string(controlplane.BaseURL))
	if v != nil {
		rt.RoutingMode = controlplane.RoutingMode(routing)
	}
	rt.EnableOIDC, rt.EnableSHM = s.boolean("EnableOIDC"), s.boolean("EnableSHM")
	rt.GPUType = r.plain(s, "GPUType")
	rt.GPUCount, _ = s.integer("GPUCount", 0, 1024)
	rt.Port, _ = s.integer("Port", 1, 65535)
	rt.CustomImage = r.plain(s, "CustomImage")
	r.healthPath(s)
	r.module(s)
	r.runtimeVersion(s)
	r.entryPoints(s)
	if rt.AppMode == controlplane.Manual {
		r.address(s)
		return
	}
	r.volumes(s)
	rt.Asked = asked(s, rt)
	r.memory(s)
	rt.CPULimit, rt.CPUReservation = s.pair("CPULimit", "CPUReservation", false, r.o.DefaultCPULimit, r.o.DefaultCPUReservation)
}

// plain is a string of one line without spaces at its ends.
func (r *manifestReader) plain(s section, key string) string {
	v := s.str(key)
	if v == nil {
		return ""
	}
	if strings.ContainsFunc(v.text, unicode.IsControl) || strings.TrimSpace(v.text) != v.text {
		r.fault(v, s.field(key), "has control characters, or spaces at its ends", "take them out")
		return ""
	}
	return v.text
}

func (r *manifestReader) healthPath(s section) {
	v := s.str("HealthPath")
	if v == nil {
		return
	}
	_, err := url.ParseRequestURI(v.text)
	odd := strings.ContainsFunc(v.text, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' || c == '\\' })
	if err != nil || odd || v.text[0] != '/' || strings.HasPrefix(v.text, "//") || template.MatchString(v.text) {
		r.fault(v, s.field("HealthPath"), `must be the path of a URL and begin with one "/"`, `like "/healthz"`)
		return
	}
	r.m.Runtime.HealthPath = v.text
}

func (r *manifestReader) module(s section) {
	mode := r.m.Runtime.AppMode
	if mode != controlplane.Wave && mode != controlplane.Python {
		return
	}
	v := s.str("Module")
	switch {
	case v == nil:
		if x := s.table.get("Module"); x == nil || x.kind == kindString {
			r.missing(s, "Module", "is required: the Python module that python3 -m runs", `write Module = "app" below [Runtime] for app.py`)
		}
		return
	case !moduleRule.MatchString(v.text):
		hint := `like "app" for app.py, or "package.module"`
		if m := strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(v.text, "./"), ".py"), "/", "."); moduleRule.MatchString(m) {
			hint = fmt.Sprintf("write Module = %q", m)
		}
		r.fault(v, s.field("Module"), "is not the name of a Python module", hint)
		return
	case strings.HasSuffix(v.text, ".py"):
		r.warn(v, controlplane.Fault{Code: WarnModule, Field: s.field("Module"), Message: "looks like a file; python3 -m takes a module", Hint: fmt.Sprintf("write Module = %q", strings.TrimSuffix(v.text, ".py"))})
	}
	r.m.Runtime.Module = v.text
}

func (r *manifestReader) runtimeVersion(s section) {
	v := s.str("RuntimeVersion")
	if v == nil {
		return
	}
	var names []string
	for _, x := range r.o.RuntimeVersions {
		if strings.EqualFold(x.Name, v.text) {
			if x.Deprecated {
				r.fault(v, s.field("RuntimeVersion"), "is deprecated and takes no new import", "leave it out, or use another")
				return
			}
			r.m.Runtime.RuntimeVersion = x.Name
			return
		}
		if !x.Deprecated {
			names = append(names, x.Name)
		}
	}
	if r.o.AnyServer && !template.MatchString(v.text) {
		r.m.Runtime.RuntimeVersion = v.text
		r.warn(v, controlplane.Fault{Code: WarnServer, Field: s.field("RuntimeVersion"), Message: "is none of the App Store's; the server may offer it", Hint: "slipway env runtime-version list shows those of the server"})
		return
	}
	r.fault(v, s.field("RuntimeVersion"), "is not offered here", "one of "+strings.Join(names, ", "))
}

func (r *manifestReader) entryPoints(s section) {
	rt := &r.m.Runtime
	rt.AppArgs, _ = s.list("AppArgs", true)
	var v *value
	rt.AppEntryPoint, v = s.list("AppEntryPoint", true)
	if rt.AppMode != controlplane.Binary {
		return
	}
	const key = "AppEntryPoint"
	switch {
	case v == nil:
		if x := s.table.get(key); x == nil || x.kind == kindArray && len(x.items) == 0 {
			r.missing(s, key, `is required where AppMode is "binary"`, `write AppEntryPoint = ["./server"]`)
		}
	case len(rt.AppEntryPoint) != len(v.items) || slices.Equal(rt.AppEntryPoint, sampleApp):
	default:
		first := v.items[0]
		text := "is empty"
		if first.text != "" {
			text = checkPath(path.Clean(first.text))
		}
		if text != "" {
			r.fault(first, s.field(key)+"[1]", "must be the path of a file in the bundle: "+text, `like "./server"`)
			return
		}
		r.entryPoint = first
	}
}

// address is that of a manual app: a host and a port, nothing else.
func (r *manifestReader) address(s section) {
	v := s.str("Address")
	if v == nil {
		if x := s.table.get("Address"); x == nil || x.kind == kindString {
			r.missing(s, "Address", `is required where AppMode is "manual"`, `write Address = "http://127.0.0.1:8000"`)
		}
		return
	}
	u, text := checkURL(v.text)
	switch {
	case text != "":
	case u.Scheme != "http":
		text = "must begin with http://"
	case u.Port() == "":
		text = "has no port"
	case u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(v.text, "#"):
		text = "has more than a host and a port"
	}
	if text != "" {
		r.fault(v, s.field("Address"), text, `write "http://host:port"`)
		return
	}
	r.m.Runtime.Address = u.Scheme + "://" + net.JoinHostPort(u.Hostname(), portOf(u))
}

// portOf is the port without leading zeros.
func portOf(u *url.URL) string {
	n, _ := strconv.Atoi(u.Port())
	return strconv.Itoa(n)
}

func (r *manifestReader) volumes(s section) {
	rt := &r.m.Runtime
	mount, size := s.str("VolumeMount"), s.quantity("VolumeSize", true)
	if v := s.quantity("ResourceVolumeSize", true); v != nil {
		rt.ResourceVolumeSize = v.text
	}
	written := s.table.get("VolumeSize")
	switch {
	case mount == nil && written != nil && !written.zero() && (s.table.get("VolumeMount") == nil || s.table.get("VolumeMount").zero()):
		r.fault(written, s.field("VolumeSize"), "there is no VolumeMount", `write VolumeMount = "/data" too, or delete it`)
	case mount != nil && (written == nil || written.zero()):
		r.fault(mount, s.field("VolumeMount"), "there is no VolumeSize", `write VolumeSize = "1Gi" too, or delete it`)
	}
	if mount == nil {
		return
	}
	clean := path.Clean(mount.text)
	text := ""
	switch {
	case mount.text[0] != '/':
		text = "must be absolute"
	case clean == "/":
		text = `must not be "/"`
	case slices.Contains(strings.Split(mount.text, "/"), ".."):
		text = `has ".."`
	case checkPath(clean[1:]) != "":
		text = checkPath(clean[1:])
	case clean == resourcesRoot:
		text = "is where the resource volume is mounted"
	case clean == appRoot:
		text = "is where the app's own files are"
	}
	if text != "" {
		r.fault(mount, s.field("VolumeMount"), text, `like "/data"`)
		return
	}
	if size != nil {
		rt.VolumeMount, rt.VolumeSize, r.mount = clean, size.text, mount
	}
}
