package bundle

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// A case is a whole bundle, what of it is odd, and all that is said about it:
// "code where:line:column Field" of every fault, or of every warning with
// "warning " before it. TestOpenRefuses and TestManifestRules look closer at
// single bytes and at the words.
type bundleCase struct {
	name string
	zip  rawZip
	want string
}

// file is an entry with this text.
func file(name, text string) rawEntry { return rawEntry{name: name, data: []byte(text)} }

// of is a bundle of a manifest and more.
func of(manifest string, more ...rawEntry) rawZip {
	return rawZip{entries: append([]rawEntry{file("app.toml", manifest)}, more...)}
}

// changed is a good manifest with this in [App], and that at its end.
func changed(app, end string) rawZip {
	return of(appHead + app + "[Runtime]\nModule = \"app\"\n" + end)
}

func runtimeOf(lines string) rawZip { return changed("", lines) }

func manifestCases() []bundleCase {
	old := strings.ToLower(goodManifest)
	container := appHead + "[Runtime]\nAppMode = \"container\"\nCustomImage = \"registry.example/x:1\"\n"
	link := linkHead + "[Link]\nAddress = \"https://a.example/\"\n"
	env := func(lines string) rawZip { return runtimeOf("[[Env]]\n" + lines) }
	return []bundleCase{
		{"generation of q-app.toml", rawZip{entries: []rawEntry{file("q-app.toml", "[App]\nName = \"demo\"\nVersion = \"0.1\"\nCategory = \"Data Science\"\n[Runtime]\nModule = \"app\"\n[[Env]]\nName = \"A\"\nValue = \"\"\n")}}, "warning version_coerced q-app.toml:3:11 App.Version"},
		{"generation of Category and Keywords", changed("Category = \"Healthcare\"\nKeywords = [\"x\", \"y\"]\n", "MemoryLimit = \"500Mi\"\n"), ""},
		{"generation of now", changed("Tags = [\"HEALTHCARE\"]\nInstanceLifecycle = \"MANAGED\"\nInstanceTimeout = \"10m\"\n", "RoutingMode = \"BASE_URL\"\nEnableOIDC = true\n"), ""},
		{"fault of q-app.toml", rawZip{entries: []rawEntry{file("q-app.toml", "[App]\nName = \"demo\"\n")}}, "manifest q-app.toml:1:1 Runtime.Module\nmanifest q-app.toml:1:2 App.Version"},
		{"byte order mark", of("\ufeff" + goodManifest), ""},
		{"carriage returns", of(strings.ReplaceAll(goodManifest, "\n", "\r\n")), ""},
		{"fault behind carriage returns", of(strings.ReplaceAll(strings.Replace(goodManifest, "demo", "de mo", 1), "\n", "\r\n")), "manifest app.toml:2:8 App.Name"},
		{"UTF-16", of("\xff\xfe[\x00A\x00"), "manifest_syntax app.toml:1:1 "},
		{"keys in small letters", of(old), ""},
		{"keys and values in mixed case", changed("instancelifecycle = \"Managed\"\n", "appMODE = \"Python\"\nROUTINGmode = \"Domain\"\n"), ""},
		{"syntax", of("[App\n"), "manifest_syntax app.toml:1:5 "},
		{"syntax hides the rest", of("[App]\nName = 1\nVersion =\n"), "manifest_syntax app.toml:3:10 "},
		{"a key twice", changed("Title = \"a\"\nTITLE = \"b\"\n", ""), "manifest_duplicate app.toml:5:1 TITLE"},
		{"a key twice by dots", of("App.Name = \"demo\"\nApp.name = \"x\"\nApp.Version = \"1.0.0\"\nRuntime.Module = \"app\"\n"), "manifest_duplicate app.toml:2:5 name"},
		{"a table twice", runtimeOf("[RUNTIME]\n"), "manifest_duplicate app.toml:6:2 RUNTIME"},
		{"unknown keys of other people", changed("SetupGuide = \"x\"\n", "[Brand]\nLogo = \"x\"\n[[Env]]\nName = \"A\"\nValue = \"1\"\n[[Env.Notices]]\nTitle = \"x\"\n"), "warning unknown_key app.toml:4:1 App.SetupGuide\nwarning unknown_key app.toml:7:2 Brand\nwarning unknown_key app.toml:12:7 Env[1].Notices"},
		{"a likely spelling", runtimeOf("Memorylimits = \"1Gi\"\n"), "warning unknown_key app.toml:6:1 Runtime.Memorylimits"},
		{"an empty manifest", of(""), "manifest app.toml:1:1 App.Name\nmanifest app.toml:1:1 App.Version\nmanifest app.toml:1:1 Runtime.Module"},
		{"everything wrong at once", of("[App]\nName = \"a b\"\nVersion = \"x\"\nInstanceTimeout = \"1d\"\n[Runtime]\nModule = \"a/b.py\"\nMemoryLimit = \"500MB\"\nPort = \"80\"\nRoutingMode = \"PATH\"\n[[Env]]\nName = \"H2O_CLOUD_X\"\nValue = \"\"\n[[File]]\nPath = \"/x\"\nValue = \"\"\n"),
			"manifest app.toml:2:8 App.Name\nmanifest app.toml:3:11 App.Version\nmanifest app.toml:4:19 App.InstanceTimeout\nmanifest app.toml:6:10 Runtime.Module\nmanifest app.toml:7:15 Runtime.MemoryLimit\nmanifest app.toml:9:15 Runtime.RoutingMode\nmanifest app.toml:11:8 Env[1].Name\nmanifest app.toml:14:8 File[1].Path"},
		{"a template in the version", of(strings.Replace(goodManifest, "1.0.0", "{{VERSION}}", 1)), "manifest_template app.toml:3:11 App.Version"},
		{"a template in the name", of(strings.Replace(goodManifest, "demo", "<your name>", 1)), "manifest_template app.toml:2:8 App.Name"},
		{"a template of Jinja", runtimeOf("RuntimeVersion = \"{% x %}\"\n"), "manifest_template app.toml:6:18 Runtime.RuntimeVersion"},
		{"a template of a shell", runtimeOf("MemoryLimit = \"${MEMORY}\"\n"), "manifest_template app.toml:6:15 Runtime.MemoryLimit"},
		{"a template in free text", changed("Title = \"{{x}}\"\nDescription = \"<b>\"\n", ""), ""},

		{"a name of 63 and a version", of(strings.Replace(goodManifest, "demo", strings.Repeat("a", 63), 1)), "manifest app.toml:3:11 App.Version"},
		{"a name of one letter", of(strings.Replace(goodManifest, "demo", "a", 1)), ""},
		{"a name that ends in a dash", of(strings.Replace(goodManifest, "demo", "demo-", 1)), "manifest app.toml:2:8 App.Name"},
		{"a name with an umlaut", of(strings.Replace(goodManifest, "demo", "dëmo", 1)), "manifest app.toml:2:8 App.Name"},
		{"a version of two numbers", of(strings.Replace(goodManifest, "1.0.0", "1.0", 1)), "warning version_coerced app.toml:3:11 App.Version"},
		{"a version with a build", of(strings.Replace(goodManifest, "1.0.0", "1.0.0+1", 1)), "manifest app.toml:3:11 App.Version"},
		{"a version as a number", of(strings.Replace(goodManifest, "\"1.0.0\"", "1", 1)), "manifest app.toml:3:11 App.Version"},
		{"a title of two lines", changed("Title = \"\"\"a\nb\"\"\"\n", ""), ""},
		{"a long description", of(appHead+"LongDescription = \"docs/x.md\"\n[Runtime]\nModule = \"app\"\n", file("docs/x.md", "# x")), ""},
		{"no long description", changed("LongDescription = \"docs/x.md\"\n", ""), "manifest app.toml:4:19 App.LongDescription"},
		{"a long description outside", changed("LongDescription = \"/etc/passwd\"\n", ""), "manifest app.toml:4:19 App.LongDescription"},
		{"tags that are no strings", changed("Tags = [\"A\", 1, [], \"\"]\n", ""), "manifest app.toml:4:8 App.Tags[3]\nmanifest app.toml:4:14 App.Tags[2]\nmanifest app.toml:4:21 App.Tags[4]"},
		{"too many tags", changed("Tags = ["+strings.Repeat("\"a\",", 201)+"]\n", ""), "manifest app.toml:4:8 App.Tags"},
		{"keywords that are a string", changed("Keywords = \"x\"\n", ""), "manifest app.toml:4:12 App.Keywords"},
		{"an unknown category", changed("Category = \"Gardening\"\n", ""), "warning unknown_category app.toml:4:12 App.Category"},
		{"an unknown life cycle", changed("InstanceLifecycle = \"ONDEMAND\"\n", ""), "manifest app.toml:4:21 App.InstanceLifecycle"},
		{"never", changed("InstanceTimeout = \"-1\"\n", ""), ""},
		{"never as a number", changed("InstanceTimeout = -1\n", ""), "manifest app.toml:4:19 App.InstanceTimeout"},
		{"minus two", changed("InstanceTimeout = \"-2\"\n", ""), "manifest app.toml:4:19 App.InstanceTimeout"},
		{"a time without a unit", changed("InstanceTimeout = \"10\"\n", ""), "manifest app.toml:4:19 App.InstanceTimeout"},
		{"a time beyond all times", changed("InstanceTimeout = \"99999999999h\"\n", ""), "manifest app.toml:4:19 App.InstanceTimeout"},
		{"no module", of(appHead + "[Runtime]\n"), "manifest app.toml:4:2 Runtime.Module"},
		{"no module for a container", of(container), ""},
		{"a deprecated runtime", runtimeOf("RuntimeVersion = \"old\"\n"), "manifest app.toml:6:18 Runtime.RuntimeVersion"},
		{"a mount without a size", runtimeOf("VolumeMount = \"/d\"\n"), "manifest app.toml:6:15 Runtime.VolumeMount"},
		{"a size without a mount", runtimeOf("VolumeSize = \"1Gi\"\n"), "manifest app.toml:6:14 Runtime.VolumeSize"},
		{"a mount over the bundle", of(waveHead+"VolumeMount = \"/static\"\nVolumeSize = \"1Gi\"\n", file("static/x", "x")), "manifest app.toml:6:15 Runtime.VolumeMount"},
		{"a mount at the root", runtimeOf("VolumeMount = \"//\"\nVolumeSize = \"1Gi\"\n"), "manifest app.toml:6:15 Runtime.VolumeMount"},
		{"a mount at /resources", runtimeOf("VolumeMount = \"/resources\"\nVolumeSize = \"1Gi\"\n"), "manifest app.toml:6:15 Runtime.VolumeMount"},
		{"a size that is none", runtimeOf("ResourceVolumeSize = \"big\"\n"), "manifest app.toml:6:22 Runtime.ResourceVolumeSize"},
		{"a reservation over its limit", runtimeOf("MemoryLimit = \"1Gi\"\nMemoryReservation = \"2Gi\"\n"), "manifest app.toml:7:21 Runtime.MemoryReservation"},
		{"a reservation over the default limit", runtimeOf("MemoryReservation = \"3Gi\"\n"), ""},
		{"a limit over the cap", runtimeOf("MemoryLimit = \"9Gi\"\n"), "manifest app.toml:6:15 Runtime.MemoryLimit"},
		{"processors that are none", runtimeOf("CPULimit = \"two\"\n"), "manifest app.toml:6:12 Runtime.CPULimit"},
		{"GPUs as a string", runtimeOf("GPUCount = \"1\"\n"), "manifest app.toml:6:12 Runtime.GPUCount"},
		{"GPUs that nobody has", runtimeOf("GPUCount = 1025\n"), "manifest app.toml:6:12 Runtime.GPUCount"},
		{"OIDC as a string", runtimeOf("EnableOIDC = \"yes\"\n"), "manifest app.toml:6:14 Runtime.EnableOIDC"},
		{"shared memory as a number", runtimeOf("EnableSHM = 1\n"), "manifest app.toml:6:13 Runtime.EnableSHM"},
		{"an unknown routing mode", runtimeOf("RoutingMode = \"\u0044OMAINS\"\n"), "manifest app.toml:6:15 Runtime.RoutingMode"},
		{"an unknown mode", of(appHead + "[Runtime]\nModule = \"app\"\nAppMode = \"docker\"\n"), "manifest app.toml:6:11 Runtime.AppMode"},
		{"a port of a container", of(container + "Port = 70000\n"), "manifest app.toml:7:8 Runtime.Port"},
		{"a port of Wave", runtimeOf("Port = 70000\n"), "warning ignored app.toml:6:1 Runtime.Port"},
		{"an image with a line break", of(appHead + "[Runtime]\nAppMode = \"container\"\nCustomImage = \"a\\nb\"\n"), "manifest app.toml:6:15 Runtime.CustomImage"},
		{"an image that does not parse", of(appHead + "[Runtime]\nAppMode = \"container\"\nCustomImage = \"customImage:latest\"\n"), ""},
		{"a container with sources", of(container, file("main.py", "x"), file("requirements.txt", "a==1\n")), "warning unexpected_source main.py:0:0 "},
		{"arguments that are a string", of(container + "AppArgs = \"-x\"\n"), "manifest app.toml:7:11 Runtime.AppArgs"},
		{"a health path with a fragment", runtimeOf("HealthPath = \"/x#y\"\n"), "manifest app.toml:6:14 Runtime.HealthPath"},
		{"a binary that is not there", of(appHead + "[Runtime]\nAppMode = \"binary\"\nAppEntryPoint = [\"./server\"]\n"), "manifest app.toml:6:18 Runtime.AppEntryPoint[1]"},
		{"a binary that is there", of(appHead+"[Runtime]\nAppMode = \"binary\"\nAppEntryPoint = [\"./server\"]\n", rawEntry{name: "server", mode: 0o100755}), ""},
		{"something that runs already", of(appHead + "[Runtime]\nAppMode = \"manual\"\nAddress = \"http://127.0.0.1:1\"\n"), ""},
		{"something at a file", of(appHead + "[Runtime]\nAppMode = \"manual\"\nAddress = \"file:///etc/passwd\"\n"), "manifest app.toml:6:11 Runtime.Address"},

		{"a variable without a name", env("Value = \"x\"\n"), "manifest app.toml:6:3 Env[1].Name"},
		{"a variable that is a number", env("Name = 1\nValue = \"x\"\n"), "manifest app.toml:7:8 Env[1].Name"},
		{"a variable with an equals sign", env("Name = \"A=B\"\nValue = \"x\"\n"), "manifest app.toml:7:8 Env[1].Name"},
		{"a variable of the platform", env("Name = \"SLIPWAY\"\nValue = \"x\"\n"), "manifest app.toml:7:8 Env[1].Name"},
		{"a variable of the Wave server", env("Name = \"H2O_WAVE_LISTEN\"\nValue = \"x\"\n"), "manifest app.toml:7:8 Env[1].Name"},
		{"the mode of a Wave app", env("Name = \"H2O_WAVE_APP_MODE\"\nValue = \"broadcast\"\n"), ""},
		{"a variable twice", env("Name = \"A\"\nValue = \"1\"\n[[Env]]\nName = \"A\"\nValue = \"2\"\n"), "warning duplicate_env app.toml:10:8 Env[2].Name"},
		{"a secret", env("Name = \"A\"\nSecret = \"s\"\nSecretKey = \"k\"\nOptional = true\n"), ""},
		{"a secret and a value", env("Name = \"A\"\nValue = \"\"\nSecret = \"s\"\nSecretKey = \"k\"\n"), "manifest app.toml:8:9 Env[1].Value"},
		{"a value that is optional", env("Name = \"A\"\nValue = \"\"\nOptional = true\n"), "manifest app.toml:9:12 Env[1].Optional"},
		{"a secret with a space", env("Name = \"A\"\nSecret = \"s \"\nSecretKey = \"k\"\n"), "manifest app.toml:8:10 Env[1].Secret"},
		{"a file below the volume", runtimeOf("VolumeMount = \"/app/data\"\nVolumeSize = \"1Gi\"\n[[File]]\nPath = \"data/x\"\nValue = \"\"\n"), "manifest app.toml:9:8 File[1].Path"},
		{"a file below a file of the bundle", of(waveHead+"[[File]]\nPath = \"conf/x\"\nValue = \"\"\n", file("conf", "x")), "manifest app.toml:7:8 File[1].Path"},
		{"a file far below a file of the bundle", of(waveHead+"[[File]]\nPath = \"/app/conf/a/b/x\"\nValue = \"\"\n", file("conf/a", "x")), "manifest app.toml:7:8 File[1].Path"},
		{"a file below a file, of what runs already", of(appHead+"[Runtime]\nAppMode = \"manual\"\nAddress = \"http://127.0.0.1:1\"\n[[File]]\nPath = \"conf/x\"\nValue = \"\"\n", file("conf", "x")), "warning ignored app.toml:7:3 File"},
		{"a file in a folder of the bundle", of(waveHead+"[[File]]\nPath = \"conf/x\"\nValue = \"\"\n", file("conf/y", "x")), ""},
		{"a file of the system", runtimeOf("[[File]]\nPath = \"/etc/../passwd\"\nValue = \"\"\n"), "manifest app.toml:7:8 File[1].Path"},
		{"a file with a backslash", runtimeOf("[[File]]\nPath = 'a\\b'\nValue = \"\"\n"), "manifest app.toml:7:8 File[1].Path"},
		{"a file that is too large", runtimeOf("[[File]]\nPath = \"a/b\"\nValue = \"" + strings.Repeat("x", 128<<10+1) + "\"\n"), "manifest app.toml:8:9 File[1].Value"},

		{"a link", of(link), ""},
		{"a link with sources", of(link, file("app.py", "x")), "warning unexpected_source app.py:0:0 "},
		{"a link with a picture", of(link, file("static/icon.png", "x")), ""},
		{"a link with a runtime and a file", of(link + "[Runtime]\nModule = \"app\"\n[[File]]\nPath = \"a/b\"\nValue = \"\"\n"), "manifest app.toml:8:10 Runtime.Module\nmanifest app.toml:9:3 File"},
		{"a link with a variable", of(link + "[[Env]]\nName = \"A\"\nValue = \"\"\n"), "warning ignored app.toml:7:3 Env"},
		{"a link to a script", of(linkHead + "[Link]\nAddress = \"javascript:alert(1)\"\n"), "manifest app.toml:6:11 Link.Address"},
		{"a link to a path", of(linkHead + "[Link]\nAddress = \"//a.example\"\n"), "manifest app.toml:6:11 Link.Address"},
		{"a link with a password", of(linkHead + "[Link]\nAddress = \"https://a:b@c.example\"\n"), "manifest app.toml:6:11 Link.Address"},
	}
}

// TestBundleCases is spec apps.md §1 and §2 line by line.
func TestBundleCases(t *testing.T) {
	o := Options{MaxMemory: "8Gi", RuntimeVersions: []controlplane.RuntimeVersion{{Name: "new"}, {Name: "old", Deprecated: true}}}
	cases := slices.Concat(archiveCases(), manifestCases())
	if len(cases) < 120 {
		t.Errorf("%d cases", len(cases))
	}
	seen := map[string]bool{}
	for _, tc := range cases {
		if seen[tc.name] {
			t.Errorf("two cases have the name %s", tc.name)
		}
		seen[tc.name] = true
		t.Run(tc.name, func(t *testing.T) {
			b, err := open(tc.zip.bytes(), o)
			var said []string
			var faults, warnings []controlplane.Fault
			if err != nil {
				if code := controlplane.CodeOf(err); code != controlplane.CodeInvalid {
					t.Fatalf("%s: %v", code, err)
				}
				faults = faultsOf(t, err)
			} else {
				warnings = b.Warnings
			}
			for _, f := range faults {
				said = append(said, fmt.Sprintf("%s %s:%d:%d %s", f.Code, f.Where, f.Line, f.Column, f.Field))
				mends(t, f)
			}
			for _, f := range warnings {
				said = append(said, fmt.Sprintf("warning %s %s:%d:%d %s", f.Code, f.Where, f.Line, f.Column, f.Field))
			}
			if got := strings.Join(said, "\n"); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			if err == nil {
				unpacks(t, b)
			}
		})
	}
}

// mends wants a fault of a manifest's value to say the value, and what to do.
func mends(t *testing.T, f controlplane.Fault) {
	t.Helper()
	if f.Field == "" {
		return
	}
	if f.Line < 1 || f.Column < 1 || f.Hint == "" || f.Message == "" {
		t.Errorf("says too little: %+v", f)
	}
	written := f.Code != CodeManifestKey && !strings.Contains(f.Message, "required") && !strings.Contains(f.Message, "there may be no")
	if written && f.Value == "" && !strings.Contains(f.Message, "empty") && !strings.Contains(f.Field, "Value") {
		t.Errorf("does not say the value: %+v", f)
	}
}

// unpacks wants what was taken to be unpacked whole.
func unpacks(t *testing.T, b *Bundle) {
	t.Helper()
	dir := t.TempDir()
	if err := b.Unpack(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files != b.Files {
		t.Errorf("%d files of %d, %v", files, b.Files, err)
	}
}
