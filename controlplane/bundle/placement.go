package bundle

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// writtenFile is a [[File]] that a start writes into a folder.
type writtenFile struct {
	path   *value
	field  string // of the manifest
	folder string // as an app sees it, absolute
}

// checkContents applies the rules that hold between the manifest and the files
// of the bundle.
func (r *manifestReader) checkContents(c *contents) {
	if r.doc == nil {
		return
	}
	if v := r.description; v != nil && !c.has(r.m.LongDescription) {
		hint := "put it there, and see that .appignore does not name it"
		if x := c.otherCase(r.m.LongDescription); x != "" {
			hint = "there is " + x
		}
		r.fault(v, "App.LongDescription", "there is no such file in the bundle", hint)
	}
	if v := r.mount; v != nil {
		// A mount hides what is below it, both where the bundle's files are
		// and where older bundles expect them, at the root.
		name := strings.TrimPrefix(strings.TrimPrefix(r.m.Runtime.VolumeMount, appRoot+"/"), "/")
		if c.folders[name] && (within(r.m.Runtime.VolumeMount, appRoot) || !strings.Contains(name, "/")) || c.has(name) && within(r.m.Runtime.VolumeMount, appRoot) {
			r.fault(v, "Runtime.VolumeMount", "is a folder of the bundle, which the volume would hide", "choose another path")
		}
	}
	if v := r.entryPoint; v != nil {
		name := path.Clean(v.text)
		exec, ok := c.files[name]
		switch {
		case !ok:
			r.fault(v, "Runtime.AppEntryPoint[1]", "there is no such file in the bundle", "build it before packing, and see that .appignore does not name it")
		case !exec:
			r.warn(v, controlplane.Fault{Code: WarnNotExecutable, Field: "Runtime.AppEntryPoint[1]", Message: "is not executable", Hint: "chmod +x " + name})
		}
	}
	for _, w := range r.written {
		// A start could not make the folder that it is written into.
		for folder := strings.TrimPrefix(w.folder, appRoot+"/"); folder != "." && !path.IsAbs(folder); folder = path.Dir(folder) {
			if c.has(folder) {
				r.fault(w.path, w.field, "lies below "+folder+", which is a file of the bundle", "choose another folder")
				break
			}
		}
	}
	r.warnSources(c)
}

// otherCase is the file that differs from name in case only, or "".
func (c *contents) otherCase(name string) string {
	for x := range c.files {
		if strings.EqualFold(x, name) {
			return x
		}
	}
	return ""
}

// warnSources warns of files that nobody runs: those of a LINK, which is an
// address, and of a container, which brings its own.
func (r *manifestReader) warnSources(c *contents) {
	what := ""
	switch {
	case r.m.Lifecycle == controlplane.Link:
		what = "a LINK app"
	case r.m.Runtime.AppMode == controlplane.Container:
		what = "a container app"
	default:
		return
	}
	var odd []string
	for name := range c.files {
		base := foldCase(name)
		switch {
		case name == manifestName, name == oldManifestName, name == ignoreName, name == r.m.LongDescription, strings.HasPrefix(name, "static/"),
			!strings.Contains(base, "/") && (strings.HasPrefix(base, "readme") || strings.HasPrefix(base, "license") || strings.HasPrefix(base, ".")):
		default:
			odd = append(odd, name)
		}
	}
	if len(odd) == 0 {
		return
	}
	first := slices.Min(odd)
	text := "not used: " + what + " runs nothing from its bundle"
	if len(odd) > 1 {
		text += fmt.Sprintf("; and %d more", len(odd)-1)
	}
	r.f.warn(controlplane.Fault{Code: WarnSources, Where: first, Message: text, Hint: "name it in .appignore"})
}
