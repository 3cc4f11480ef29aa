// Package starter has the apps that `slipway bundle init` begins with: a
// manifest for each mode, and for those that run something a small app.
package starter

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli/tomltext"
)

// The modes: those of Runtime.AppMode, and link for an app without instances.
const (
	Python    = "python"
	Wave      = "wave"
	Binary    = "binary"
	Container = "container"
	Manual    = "manual"
	Link      = "link"
)

// Modes are all modes.
func Modes() []string { return []string{Python, Wave, Binary, Container, Manual, Link} }

// How long a name may be. Name-Version has 63 characters at most; the version
// that deploy makes of 0.1.0 has 20 of them.
const (
	MaxName  = 63 - len("-0.1.0")
	deployed = 63 - len("-0.1.0-20060102150405")
)

// App is an app to begin with.
type App struct {
	Mode  string // one of Modes
	Name  string // by the rules
	Title string // anything: it becomes one line
}

// File is one of its files.
type File struct {
	Name       string // in its folder
	Text       string
	Executable bool
}

//go:embed app.py
var pythonApp string

//go:embed wave.py
var waveApp string

// Files are its files, the manifest last.
func (a App) Files() []File {
	var list []File
	ignore := File{Name: ".appignore", Text: "# What slipway bundle leaves out, by gitignore's rules.\n*.log\n"}
	switch a.Mode {
	case Python:
		list = []File{ignore, {Name: "app.py", Text: pythonApp}}
	case Wave:
		list = []File{ignore, {Name: "app.py", Text: waveApp}, {Name: "requirements.txt", Text: "h2o-wave>=1.0,<2\n"}}
	case Binary:
		list = []File{ignore, {Name: "server", Text: "#!/usr/bin/env python3\n# Put your program in the place of this one.\n" + pythonApp, Executable: true}}
	}
	return append(list, File{Name: "app.toml", Text: a.manifest()})
}

var runtimes = map[string]string{
	Python: `
[Runtime]
AppMode = "python"
Module = "app"                # python3 -m app
# RoutingMode = "BASE_URL"    # <base>/instance/<ID>/ in the place of <ID>.<base>/
# MemoryLimit = "512Mi"
`,
	Wave: `
[Runtime]
AppMode = "wave"
Module = "app"                # python3 -m app, beside a Wave server
# RoutingMode = "BASE_URL"    # <base>/instance/<ID>/ in the place of <ID>.<base>/
# MemoryLimit = "512Mi"
`,
	Binary: `
[Runtime]
AppMode = "binary"
AppEntryPoint = ["./server"]  # a file of the bundle, and its arguments
# RoutingMode = "BASE_URL"    # <base>/instance/<ID>/ in the place of <ID>.<base>/
# MemoryLimit = "512Mi"
`,
	Container: `
[Runtime]
AppMode = "container"
CustomImage = "registry.example.com/app:0.1.0"
Port = 8080
`,
	Manual: `
[Runtime]
AppMode = "manual"
Address = "http://127.0.0.1:8000"  # of what runs already
`,
	Link: `
[Link]
Address = "https://example.com"
`,
}

func (a App) manifest() string {
	title := strings.Join(strings.Fields(strings.ToValidUTF8(a.Title, "")), " ")
	if title == "" {
		title = a.Name
	}
	text := fmt.Sprintf("[App]\nName = %s\nVersion = \"0.1.0\"\nTitle = %s\nDescription = \"\"\n", tomltext.Quote(a.Name), tomltext.Quote(title))
	if a.Mode == Link {
		text += "InstanceLifecycle = \"LINK\"\n"
	}
	return text + runtimes[a.Mode]
}

var nameRule = regexp.MustCompile(`^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$`)

// ValidName reports whether an app of version 0.1.0 may be called so (spec
// apps.md §2).
func ValidName(name string) bool { return len(name) <= MaxName && nameRule.MatchString(name) }

var notOfNames = regexp.MustCompile(`[^A-Za-z0-9_.]+`)

// Name is what an app in a folder of that name is called: what no name may
// have becomes "-".
func Name(folder string) string {
	name := notOfNames.ReplaceAllString(folder, "-")
	name = strings.Trim(name[:min(len(name), deployed)], "-_.")
	if name == "" {
		return "app"
	}
	return name
}
