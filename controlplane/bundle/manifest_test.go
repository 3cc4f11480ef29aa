package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
)

const (
	appHead  = "[App]\nName = \"demo\"\nVersion = \"1.0.0\"\n"
	waveHead = appHead + "[Runtime]\nModule = \"app\"\n"
	linkHead = appHead + "InstanceLifecycle = \"LINK\"\n"
	good     = "" // no fault, no warning
)

func mode(m string) string { return appHead + "[Runtime]\nAppMode = \"" + m + "\"\n" }

// TestManifestRules has one line per rule: "line:column field: message", of
// every fault, or of every warning with "warning " before it.
func TestManifestRules(t *testing.T) {
	long := strings.Repeat("a", 64)
	tests := []struct{ name, toml, want string }{
		{"least", waveHead, good},
		{"keys and enumerations in any case", "[app]\nname = \"demo\"\nVERSION = \"1.0.0\"\ninstancelifecycle = \"Managed\"\n[RUNTIME]\nmodule = \"app\"\nappmode = \"Wave\"\nroutingmode = \"base_url\"\n", good},
		{"empty", "", "1:1 App.Name: is required\n1:1 App.Version: is required\n1:1 Runtime.Module: is required: the Python module that python3 -m runs"},
		{"empty strings are left out", "[App]\nName = \"\"\nVersion = \"1.0.0\"\nTitle = \"\"\n[Runtime]\nModule = \"app\"\nGPUType = \"\"\n", "2:8 App.Name: is required"},
		{"byte order mark", "\ufeff" + waveHead, good},
		{"carriage returns", strings.ReplaceAll(waveHead, "\n", "\r\n"), good},

		{"syntax", "[App]\nName = \n", "2:8 : not TOML: unexpected character U+000A at start of value"},
		{"syntax alone", "[App]\nName = 1\nname = 2\nx = 1 2\n", "4:7 : not TOML: expected newline but got U+0032 '2'"},
		{"not UTF-8", "[App]\nName = \"\xff\"\n", "2:9 : not TOML: not UTF-8"},
		{"date that does not exist", "x = 2025-13-01\n", "1:10 : not TOML: *"},
		{"too deep", "x = " + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "\n", "1:5 : not TOML: tables and arrays lie too deep in each other"},
		{"too many dots", strings.Repeat("a.", 100) + "b = 1\n", "1:65 : not TOML: the key has too many dots"},
		{"same key twice", appHead + "Title = \"a\"\nTitle = \"b\"\n[Runtime]\nModule = \"app\"\n", "5:1 Title: the same key twice"},
		{"same key in another case", appHead + "name = \"b\"\n[Runtime]\nModule = \"app\"\n", "4:1 name: the same key twice, since case does not count"},
		{"same table in another case", waveHead + "[app]\nTitle = \"x\"\n", "6:2 app: the same key twice, since case does not count"},
		{"same table twice", waveHead + "[App]\nTitle = \"x\"\n", "6:2 App: the same key twice"},
		{"duplicates come with other faults", appHead + "Tags = \"x\"\nname = \"b\"\n[Runtime]\nModule = \"app\"\n", "4:8 App.Tags: must be an array, not a string\n5:1 name: the same key twice, since case does not count"},

		{"unknown key", waveHead + "MemoryLimits = \"1Gi\"\n", "warning 6:1 Runtime.MemoryLimits: unknown key, not used (did you mean MemoryLimit?)"},
		{"unknown key of another table", appHead + "Port = 80\n[Runtime]\nModule = \"app\"\n", "warning 4:1 App.Port: unknown key, not used (it belongs to [Runtime])"},
		{"unknown table", waveHead + "[Runtimes]\nx = 1\n[Brand]\n", "warning 6:2 Runtimes: unknown table, not used (did you mean [Runtime]?)\nwarning 8:2 Brand: unknown table, not used"},
		{"key above the tables", "Title = \"x\"\n" + waveHead, "warning 1:1 Title: unknown key, not used (it belongs below [App])"},
		{"App is no table", "App = 1\n[Runtime]\nModule = \"app\"\n", "1:1 App.Name: is required\n1:1 App.Version: is required\n1:7 App: must be a table"},
		{"column in characters", "[App]\n\"Näme\" = 1\nName = \"demo\"\nVersion = \"1.0.0\"\nTitle=\"äöü\"\n[Runtime]\n\"Module\"   =   1\n", "7:16 Runtime.Module: must be a string, not an integer\nwarning 2:1 App.Näme: unknown key, not used (did you mean Name?)"},
		{"inline tables", "App = {Name = \"demo\", Version = \"x\"}\nRuntime = {Module = \"app\"}\nEnv = [{Name = \"1\", Value = \"\"}]\n", "1:33 App.Version: is not a semantic version\n3:16 Env[1].Name: may have letters, digits and '_', and does not begin with a digit"},

		{"version as a number", "[App]\nName = \"demo\"\nVersion = 1.0\n[Runtime]\nModule = \"app\"\n", "3:11 App.Version: must be a string, not a number with a fraction (write Version = \"1.0\")"},
		{"port as a string", mode("container") + "Port = \"80\"\n", "6:8 Runtime.Port: must be an integer, not a string (write Port = 80)"},
		{"bool as a string", waveHead + "EnableOIDC = \"true\"\n", "6:14 Runtime.EnableOIDC: must be true or false, not a string (write EnableOIDC = true)"},
		{"tag as a number", appHead + "Tags = [\"A\", 2]\n[Runtime]\nModule = \"app\"\n", "4:14 App.Tags[2]: must be a string, not an integer"},
		{"date", appHead + "Title = 2025-01-01\n[Runtime]\nModule = \"app\"\n", "4:9 App.Title: must be a string, not a date or time (write Title = \"2025-01-01\")"},

		{"name too long", strings.Replace(waveHead, "demo", long, 1), "2:8 App.Name: has 64 characters, the limit is 63"},
		{"name begins with a dot", strings.Replace(waveHead, "demo", ".demo", 1), "2:8 App.Name: may have letters, digits, '-', '_' and '.', and begins and ends with a letter or digit"},
		{"name with a space", strings.Replace(waveHead, "demo", "my demo", 1), "2:8 App.Name: may have letters, digits, '-', '_' and '.', and begins and ends with a letter or digit"},
		{"name and version too long", strings.Replace(waveHead, "demo", long[:58], 1), "3:11 App.Version: \"" + long[:58] + "-1.0.0\" has 64 characters, Name-Version may have 63"},
		{"name and version at the limit", strings.Replace(waveHead, "demo", long[:57], 1), good},
		{"version 1.0", strings.Replace(waveHead, "1.0.0", "1.0", 1), "warning 3:11 App.Version: is not semver as written, and counts as 1.0.0 (write 1.0.0)"},
		{"version v1", strings.Replace(waveHead, "1.0.0", "v1", 1), "warning 3:11 App.Version: is not semver as written, and counts as 1.0.0 (write 1.0.0)"},
		{"version prerelease", strings.Replace(waveHead, "1.0.0", "1.0.0-rc.1-20260101120000", 1), good},
		{"version with build metadata", strings.Replace(waveHead, "1.0.0", "1.0.0+5", 1), "3:11 App.Version: has build metadata (leave out everything from the + on)"},
		{"version is a word", strings.Replace(waveHead, "1.0.0", "latest", 1), "3:11 App.Version: is not a semantic version (write MAJOR.MINOR.PATCH, like 1.2.3 or 1.2.3-rc.1)"},
		{"template in the version", strings.Replace(waveHead, "1.0.0", "{{VERSION}}", 1), "3:11 App.Version: looks like a template that was not rendered, and may have letters, digits, '-', '_' and '.', and begins and ends with a letter or digit (render the template before packing, or write the value)"},
		{"template in the name", strings.Replace(waveHead, "demo", "<your name>", 1), "2:8 App.Name: looks like a template that was not rendered, and *"},
		{"texts as long as they may be", appHead + "Title = \"" + strings.Repeat("ä", 200) + "\"\nDescription = \"" + strings.Repeat("ä", 4000) + "\"\n[Runtime]\nModule = \"app\"\n", good},
		{"texts that are longer", appHead + "Title = \"" + strings.Repeat("{{", 101) + "\"\nDescription = \"" + strings.Repeat("ä", 4001) + "\"\n[Runtime]\nModule = \"app\"\n", "4:9 App.Title: has 202 characters, the limit is 200\n5:15 App.Description: has 4001 characters, the limit is 4000"},
		{"template in free text", appHead + "Title = \"{{x}} <b>\"\nDescription = \"<your text>\"\n[Runtime]\nModule = \"app\"\n", good},

		{"long description outside", appHead + "LongDescription = \"../x.md\"\n[Runtime]\nModule = \"app\"\n", "4:19 App.LongDescription: the path has \"..\""},
		{"category", appHead + "Category = \"Data Science\"\nKeywords = [\"x\"]\n[Runtime]\nModule = \"app\"\n", good},
		{"category unknown", appHead + "Category = \"Other\"\n[Runtime]\nModule = \"app\"\n", "warning 4:12 App.Category: has no tag; the app gets none for it (use Tags)"},
		{"lifecycle", appHead + "InstanceLifecycle = \"MANGED\"\n[Runtime]\nModule = \"app\"\n", "4:21 App.InstanceLifecycle: is no such value (did you mean MANAGED? It is one of ON_DEMAND, MANAGED, LINK)"},
		{"timeout zero", appHead + "InstanceTimeout = \"0s\"\n[Runtime]\nModule = \"app\"\n", "4:19 App.InstanceTimeout: must be a duration above 0 in s, m or h, or -1"},
		{"timeout in days", appHead + "InstanceTimeout = \"1d\"\n[Runtime]\nModule = \"app\"\n", "4:19 App.InstanceTimeout: must be a duration above 0 in s, m or h, or -1"},
		{"timeout in milliseconds", appHead + "InstanceTimeout = \"100ms\"\n[Runtime]\nModule = \"app\"\n", "4:19 App.InstanceTimeout: must be a duration above 0 in s, m or h, or -1"},
		{"timeout negative", appHead + "InstanceTimeout = \"-5m\"\n[Runtime]\nModule = \"app\"\n", "4:19 App.InstanceTimeout: must be a duration above 0 in s, m or h, or -1"},

		{"module missing", appHead + "[Runtime]\n", "4:2 Runtime.Module: is required: the Python module that python3 -m runs"},
		{"module missing for python", mode("python"), "4:2 Runtime.Module: is required: the Python module that python3 -m runs"},
		{"module is an option", strings.Replace(waveHead, `"app"`, `"-c"`, 1), "5:10 Runtime.Module: is not the name of a Python module"},
		{"module is a path", strings.Replace(waveHead, `"app"`, `"src/app.py"`, 1), "5:10 Runtime.Module: is not the name of a Python module (write Module = \"src.app\")"},
		{"module is a file", strings.Replace(waveHead, `"app"`, `"app.py"`, 1), "warning 5:10 Runtime.Module: looks like a file; python3 -m takes a module (write Module = \"app\")"},
		{"runtime version", waveHead + "RuntimeVersion = \"DEB11_PY310_wlatest\"\n", good},
		{"runtime version unknown", waveHead + "RuntimeVersion = \"x\"\n", "6:18 Runtime.RuntimeVersion: is not offered here"},

		{"volume", waveHead + "VolumeMount = \"/data\"\nVolumeSize = \"1Gi\"\n", good},
		{"volume without size", waveHead + "VolumeMount = \"/data\"\n", "6:15 Runtime.VolumeMount: there is no VolumeSize"},
		{"size without volume", waveHead + "VolumeSize = \"1Gi\"\n", "6:14 Runtime.VolumeSize: there is no VolumeMount"},
		{"volume at the root", waveHead + "VolumeMount = \"/./\"\nVolumeSize = \"1Gi\"\n", "6:15 Runtime.VolumeMount: must not be \"/\""},
		{"volume relative", waveHead + "VolumeMount = \"data\"\nVolumeSize = \"1Gi\"\n", "6:15 Runtime.VolumeMount: must be absolute"},
		{"volume at resources", waveHead + "VolumeMount = \"/resources/\"\nVolumeSize = \"1Gi\"\n", "6:15 Runtime.VolumeMount: is where the resource volume is mounted"},
		{"volume at the app's root", waveHead + "VolumeMount = \"/app\"\nVolumeSize = \"1Gi\"\n", "6:15 Runtime.VolumeMount: is where the app's own files are"},
		{"volume with dot dot", waveHead + "VolumeMount = \"/data/../etc\"\nVolumeSize = \"1Gi\"\n", "6:15 Runtime.VolumeMount: has \"..\""},

		{"quantity", waveHead + "MemoryLimit = \"500MB\"\n", "6:15 Runtime.MemoryLimit: not a quantity (use 500Mi)"},
		{"quantity in gigabytes", waveHead + "MemoryLimit = \"1.5 GB\"\n", "6:15 Runtime.MemoryLimit: not a quantity (use 1.5Gi)"},
		{"quantity in milli", waveHead + "MemoryLimit = \"500m\"\n", "6:15 Runtime.MemoryLimit: is less than 1Mi (use 500Mi)"},
		{"quantity without a unit", waveHead + "ResourceVolumeSize = \"512\"\n", "6:22 Runtime.ResourceVolumeSize: is less than 1Mi (use 512Mi)"},
		{"quantity of many digits", waveHead + "MemoryLimit = \"1e999999999\"\n", "6:15 Runtime.MemoryLimit: not a quantity (use a number and Ki, Mi, Gi or Ti, like 512Mi)"},
		{"quantity zero", waveHead + "CPULimit = \"0\"\n", "6:12 Runtime.CPULimit: must be above 0"},
		{"quantity negative", waveHead + "CPULimit = \"-1\"\n", "6:12 Runtime.CPULimit: not a quantity (use a number of cores, like 1.5 or 500m)"},
		{"quantity in cores", waveHead + "CPULimit = \"2 cores\"\n", "6:12 Runtime.CPULimit: not a quantity (use 2)"},
		{"memory reservation over its limit", waveHead + "MemoryLimit = \"1Gi\"\nMemoryReservation = \"2Gi\"\n", "7:21 Runtime.MemoryReservation: is more than MemoryLimit, which is 1Gi"},
		{"CPU reservation over its limit", waveHead + "CPULimit = \"500m\"\nCPUReservation = \"1\"\n", "7:18 Runtime.CPUReservation: is more than CPULimit, which is 500m"},
		{"memory over the cap", waveHead + "MemoryLimit = \"5Gi\"\n", "6:15 Runtime.MemoryLimit: is more than this server allows (use at most 4Gi)"},
		{"memory reservation over the cap", waveHead + "MemoryReservation = \"5Gi\"\n", "6:21 Runtime.MemoryReservation: is more than this server allows (use at most 4Gi)"},
		{"GPU count", waveHead + "GPUCount = -1\n", "6:12 Runtime.GPUCount: must lie between 0 and 1024"},

		{"routing mode", waveHead + "RoutingMode = \"PATH\"\n", "6:15 Runtime.RoutingMode: is no such value (one of DOMAIN, BASE_URL)"},
		{"app mode", mode("dock"), "4:2 Runtime.Module: is required: the Python module that python3 -m runs\n5:11 Runtime.AppMode: is no such value (one of wave, python, container, binary, manual)"},
		{"port too large", mode("container") + "Port = 65536\n", "6:8 Runtime.Port: must lie between 1 and 65535"},
		{"port zero", mode("container") + "Port = 0\n", "6:8 Runtime.Port: must lie between 1 and 65535"},
		{"a port of a mode that is misspelt", mode("pyton") + "Module = \"app\"\nPort = 70000\nAddress = \"x\"\n", "5:11 Runtime.AppMode: is no such value\n7:8 Runtime.Port: must lie between 1 and 65535"},
		{"a port of a mode that nobody knows", mode("foo") + "Module = \"app\"\nPort = 70000\n", "5:11 Runtime.AppMode: is no such value\n7:8 Runtime.Port: must lie between 1 and 65535"},
		{"an address of a mode that is misspelt", mode("manul") + "Address = \"x\"\n", "5:11 Runtime.AppMode: is no such value\n6:11 Runtime.Address: is not an absolute http or https URL"},
		{"a mode that is a number, and a port", appHead + "[Runtime]\nAppMode = 1\nModule = \"app\"\nPort = 70000\n", "5:11 Runtime.AppMode: must be a string, not an integer\n7:8 Runtime.Port: must lie between 1 and 65535"},
		{"a link that is misspelt", strings.Replace(linkHead, "LINK", "LNK", 1) + "[Link]\nAddress = \"/x\"\n", "4:21 App.InstanceLifecycle: is no such value\n6:11 Link.Address: is not an absolute http or https URL"},
		{"port of wave", waveHead + "Port = 80\n", "warning 6:1 Runtime.Port: ignored: AppMode \"wave\" does not use it"},
		{"health path", waveHead + "HealthPath = \"healthz\"\n", "6:14 Runtime.HealthPath: must be the path of a URL and begin with one \"/\""},
		{"health path of a host", waveHead + "HealthPath = \"//evil/x\"\n", "6:14 Runtime.HealthPath: must be the path of a URL and begin with one \"/\""},
		{"container", mode("container") + "CustomImage = \"{{REGISTRY}}/x:1\"\nAppArgs = [\"\"]\nAppEntryPoint = [\"./server\"]\nPort = 1337\n", good},
		{"container with a module", mode("container") + "Module = \"app\"\n", "warning 6:1 Runtime.Module: ignored: AppMode \"container\" does not use it"},
		{"binary", mode("binary") + "AppEntryPoint = [\"./server\", \"-x\"]\nAppArgs = [\"a\"]\nPort = 80\n", good},
		{"binary sample", mode("binary") + "AppEntryPoint = [\"slipway\", \"sample-app\"]\n", good},
		{"binary without an entry point", mode("binary"), "4:2 Runtime.AppEntryPoint: is required where AppMode is \"binary\""},
		{"binary at an absolute path", mode("binary") + "AppEntryPoint = [\"/bin/sh\"]\n", "6:18 Runtime.AppEntryPoint[1]: must be the path of a file in the bundle: the path is absolute"},
		{"binary outside", mode("binary") + "AppEntryPoint = [\"../sh\"]\n", "6:18 Runtime.AppEntryPoint[1]: must be the path of a file in the bundle: the path has \"..\""},
		{"binary named by nothing", mode("binary") + "AppEntryPoint = [\"\"]\n", "6:18 Runtime.AppEntryPoint[1]: must be the path of a file in the bundle: is empty"},
		{"NUL in an argument", mode("binary") + "AppEntryPoint = [\"a\", \"b\\u0000\"]\n", "6:23 Runtime.AppEntryPoint[2]: has a NUL character"},
		{"manual", mode("manual") + "Address = \"http://127.0.0.1:8000\"\nHealthPath = \"/x\"\n", good},
		{"manual over IPv6", mode("manual") + "Address = \"http://[::1]:8000\"\n", good},
		{"manual without an address", mode("manual"), "4:2 Runtime.Address: is required where AppMode is \"manual\""},
		{"manual without a port", mode("manual") + "Address = \"http://host\"\n", "6:11 Runtime.Address: has no port"},
		{"manual over https", mode("manual") + "Address = \"https://host:1\"\n", "6:11 Runtime.Address: must begin with http://"},
		{"manual with a path", mode("manual") + "Address = \"http://host:1/x\"\n", "6:11 Runtime.Address: has more than a host and a port"},
		{"manual with a query", mode("manual") + "Address = \"http://host:1?\"\n", "6:11 Runtime.Address: has more than a host and a port"},
		{"manual with a user", mode("manual") + "Address = \"http://a:b@host:1\"\n", "6:11 Runtime.Address: has user information"},
		{"manual with port 0", mode("manual") + "Address = \"http://host:0\"\n", "6:11 Runtime.Address: has a port that is not between 1 and 65535"},
		{"manual with a placeholder", mode("manual") + "Address = \"http://{env.X}:1\"\n", "6:11 Runtime.Address: *"},
		{"manual ignores", mode("manual") + "Address = \"http://h:1\"\nMemoryLimit = \"1Gi\"\n[[Env]]\nName = \"A\"\nValue = \"\"\n", "warning 7:1 Runtime.MemoryLimit: ignored: AppMode \"manual\" does not use it\nwarning 8:3 Env: ignored: nothing is run that could have an environment"},
		{"address of a wave app", waveHead + "Address = \"http://h:1\"\n", "warning 6:1 Runtime.Address: ignored: AppMode \"wave\" does not use it"},

		{"link", linkHead + "[Link]\nAddress = \"https://h2o.ai/x?y#z\"\n[Runtime]\nModule = \"\"\n", good},
		{"link that is long", linkHead + "[Link]\nAddress = \"https://a/" + strings.Repeat("x", 1991) + "\"\n", "6:11 Link.Address: has 2001 characters, the limit is 2000"},
		{"link without an address", linkHead, "1:1 Link.Address: is required where InstanceLifecycle is LINK"},
		{"link is relative", linkHead + "[Link]\nAddress = \"/x\"\n", "6:11 Link.Address: is not an absolute http or https URL"},
		{"link is a script", linkHead + "[Link]\nAddress = \"javascript:alert(1)\"\n", "6:11 Link.Address: is not an absolute http or https URL"},
		{"link with a user", linkHead + "[Link]\nAddress = \"https://a@b/\"\n", "6:11 Link.Address: has user information"},
		{"link without a host", linkHead + "[Link]\nAddress = \"https:///x\"\n", "6:11 Link.Address: has no host that could be a name or an address"},
		{"link with a runtime", linkHead + "[Link]\nAddress = \"https://a/\"\n[Runtime]\nModule = \"app\"\n", "8:10 Runtime.Module: a LINK app runs nothing: [Runtime] must be empty"},
		{"link with a file", linkHead + "[Link]\nAddress = \"https://a/\"\n[[File]]\nPath = \"a/b\"\nValue = \"\"\n", "7:3 File: a LINK app runs nothing: there may be no [[File]]"},
		{"link with an env", linkHead + "[Link]\nAddress = \"https://a/\"\n[[Env]]\nName = \"A\"\nValue = \"\"\n", "warning 7:3 Env: ignored: nothing is run that could have an environment"},
		{"address of no link", waveHead + "[Link]\nAddress = \"https://a/\"\n", "warning 7:11 Link.Address: ignored: the app is not a LINK"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, warnings, err := ParseManifest([]byte(tt.toml), Options{MaxMemory: "4Gi"})
			checkFaults(t, warnings, err, tt.want)
		})
	}
}

func TestInjectionRules(t *testing.T) {
	env := func(s string) string { return waveHead + "[[Env]]\n" + s }
	file := func(s string) string { return waveHead + "[[File]]\n" + s }
	at := func(path string) string { return file("Path = \"" + path + "\"\nValue = \"x\"\n") }
	tests := []struct{ name, toml, want string }{
		{"value", env("Name = \"A\"\nValue = \"x\"\n"), good},
		{"empty value", env("Name = \"A\"\nValue = \"\"\n"), good},
		{"secret", env("Name = \"A\"\nSecret = \"s\"\nSecretKey = \"k\"\nOptional = true\n"), good},
		{"secret with capitals", env("Name = \"A\"\nSecret = \"SecretName\"\nSecretKey = \"K\"\n"), good},
		{"secret and key that none has", env("Name = \"A\"\nSecret = \"Bad Name\"\nSecretKey = \"k k\"\n"), "8:10 Env[1].Secret: is not the name of a secret\n9:13 Env[1].SecretKey: is not the key of a secret's value"},
		{"secret of a file that none has", file("Path = \"a/x\"\nSecret = \"a_b\"\nSecretKey = \"k\"\n"), "8:10 File[1].Secret: is not the name of a secret"},
		{"secret that is a template", env("Name = \"A\"\nSecret = \"{{S}}\"\nSecretKey = \"k\"\n"), "8:10 Env[1].Secret: looks like a template that was not rendered, and is not the name of a secret"},
		{"nothing", env("Name = \"A\"\n"), "6:3 Env[1].Value: has neither a Value nor a Secret"},
		{"both", env("Name = \"A\"\nValue = \"x\"\nSecret = \"s\"\nSecretKey = \"k\"\n"), "8:9 Env[1].Value: stands beside a secret"},
		{"value and key", env("Name = \"A\"\nValue = \"x\"\nSecretKey = \"k\"\n"), "8:9 Env[1].Value: stands beside a secret"},
		{"secret without key", env("Name = \"A\"\nSecret = \"s\"\n"), "8:10 Env[1].Secret: there is no SecretKey"},
		{"key without secret", env("Name = \"A\"\nSecretKey = \"k\"\n"), "8:13 Env[1].SecretKey: there is no Secret"},
		{"optional value", env("Name = \"A\"\nValue = \"x\"\nOptional = true\n"), "9:12 Env[1].Optional: goes with a Secret only"},
		{"value of another type", env("Name = \"A\"\nValue = 1\n"), "8:9 Env[1].Value: must be a string, not an integer (write Value = \"1\")"},
		{"no name", env("Value = \"x\"\n"), "6:3 Env[1].Name: is required"},
		{"name with a dash", env("Name = \"A-B\"\nValue = \"x\"\n"), "7:8 Env[1].Name: may have letters, digits and '_', and does not begin with a digit"},
		{"H2O_CLOUD", env("Name = \"H2O_CLOUDY\"\nValue = \"x\"\n"), "7:8 Env[1].Name: names that begin with H2O_CLOUD are the platform's"},
		{"H2O_WAVE", env("Name = \"H2O_WAVE_ADDRESS\"\nValue = \"x\"\n"), "7:8 Env[1].Name: names that begin with H2O_WAVE are the platform's"},
		{"H2O_WAVE_APP_MODE", env("Name = \"H2O_WAVE_APP_MODE\"\nValue = \"x\"\n"), good},
		{"H2O_WAVE allowed", env("Name = \"H2O_WAVE_ML_X\"\nValue = \"x\"\n"), good},
		{"H2O_WAVE allowed whole only", env("Name = \"H2O_WAVE_NO_STORE_X\"\nValue = \"x\"\n"), "7:8 Env[1].Name: names that begin with H2O_WAVE are the platform's"},
		{"H2O_CLOUD is never allowed", env("Name = \"H2O_CLOUD_X\"\nValue = \"x\"\n"), "7:8 Env[1].Name: names that begin with H2O_CLOUD are the platform's"},
		{"Q8S", env("Name = \"Q8S_X\"\nValue = \"x\"\n"), "7:8 Env[1].Name: names that begin with Q8S are the platform's"},
		{"SLIPWAY", env("Name = \"SLIPWAY_URL\"\nValue = \"x\"\n"), "7:8 Env[1].Name: names that begin with SLIPWAY are the platform's"},
		{"twice", env("Name = \"A\"\nValue = \"x\"\n[[Env]]\nName = \"A\"\nValue = \"y\"\n"), "warning 10:8 Env[2].Name: is there twice, and this one counts"},
		{"NUL", env("Name = \"A\"\nValue = \"\\u0000\"\n"), "8:9 Env[1].Value: has a NUL character"},
		{"too long", env("Name = \"A\"\nValue = \"" + strings.Repeat("x", maxEnvValue+1) + "\"\n"), "8:9 Env[1].Value: has 32769 bytes, the limit is 32768"},
		{"too long, with a template", env("Name = \"A\"\nValue = \"{% x %}" + strings.Repeat("x", maxEnvValue) + "\"\n"), "8:9 Env[1].Value: has 32775 bytes, the limit is 32768"},
		{"too many", waveHead + strings.Repeat("[[Env]]\nName = \"A\"\nValue = \"\"\n", 201), "6:3 Env: has 201 entries, the limit is 200"},
		{"one table", waveHead + "[Env]\nName = \"A\"\n", "6:2 Env: must be an array of tables (write [[Env]])"},
		{"array of strings", "Env = [\"A\"]\n" + waveHead, "1:8 Env[1]: must be a table, not a string (write [[Env]])"},
		{"second spelling", waveHead + "[[Env]]\nName = \"A\"\nValue = \"\"\n[[env]]\nName = \"B\"\nValue = \"\"\n", "9:3 env: the same key twice, since case does not count"},
		{"unknown key", env("Name = \"A\"\nValue = \"x\"\nOptionl = true\n"), "warning 9:1 Env[1].Optionl: unknown key, not used (did you mean Optional?)"},

		{"file", at("some/path.file"), good},
		{"absolute file", at("/another/path.file"), good},
		{"file in /", at("/x"), "7:8 File[1].Path: lies directly in \"/\" or in the app's root; only folders below are allowed"},
		{"file in .", at("x"), "7:8 File[1].Path: lies directly in \"/\" or in the app's root; only folders below are allowed"},
		{"file in . spelled otherwise", at("./x"), "7:8 File[1].Path: lies directly in \"/\" or in the app's root; only folders below are allowed"},
		{"file in the app's root", at("/app/x"), "7:8 File[1].Path: lies directly in \"/\" or in the app's root; only folders below are allowed"},
		{"file in resources", at("/resources/x"), "7:8 File[1].Path: lies in /resources"},
		{"file below resources", at("//resources/./a/x"), "7:8 File[1].Path: lies in /resources"},
		{"file in a folder like resources", at("/resources2/x"), good},
		{"file outside", at("../a/x"), "7:8 File[1].Path: has \"..\""},
		{"file with dot dot inside", at("a/../b/x"), "7:8 File[1].Path: has \"..\""},
		{"file is a folder", at("a/b/"), "7:8 File[1].Path: names a folder, not a file"},
		{"file with a NUL", at("a/b\\u0000"), "7:8 File[1].Path: the path has the control character U+0000"},
		{"file in the volume", waveHead + "VolumeMount = \"/data\"\nVolumeSize = \"1Gi\"\n[[File]]\nPath = \"/data/x\"\nValue = \"\"\n", "9:8 File[1].Path: lies in the volume /data"},
		{"same folder", file("Path = \"a/x\"\nValue = \"x\"\n[[File]]\nPath = \"a/./y\"\nValue = \"\"\n"), "10:8 File[2].Path: has the same folder as File[1]; each [[File]] needs a folder of its own"},
		{"same folder, once absolute", file("Path = \"a/x\"\nValue = \"x\"\n[[File]]\nPath = \"/app/a/y\"\nValue = \"\"\n"), "10:8 File[2].Path: has the same folder as File[1]; each [[File]] needs a folder of its own"},
		{"no path", file("Value = \"x\"\n"), "6:3 File[1].Path: is required"},
		{"file without content", file("Path = \"a/x\"\n"), "6:3 File[1].Value: has neither a Value nor a Secret"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, warnings, err := ParseManifest([]byte(tt.toml), Options{AllowedEnv: []string{"H2O_WAVE_ML_.*", "H2O_WAVE_NO_STORE", "H2O_CLOUD_X"}})
			checkFaults(t, warnings, err, tt.want)
		})
	}
}

// checkFaults compares faults and warnings with lines of "line:column field:
// message (hint)"; a wanted line may leave out the hint, or end in "*".
func checkFaults(t *testing.T, warnings []controlplane.Fault, err error, want string) {
	t.Helper()
	var list []controlplane.Fault
	if err != nil {
		list = faultsOf(t, err)
	}
	var wanted []string
	if want != "" {
		wanted = strings.Split(want, "\n")
	}
	if len(wanted) != len(list)+len(warnings) {
		t.Fatalf("faults %v, warnings %v, want:\n%s", list, warnings, want)
	}
	for i, w := range wanted {
		prefix, f := "", controlplane.Fault{}
		if i < len(list) {
			f = list[i]
		} else {
			prefix, f = "warning ", warnings[i-len(list)]
		}
		got := fmt.Sprintf("%s%d:%d %s: %s", prefix, f.Line, f.Column, f.Field, f.Message)
		hinted := got + " (" + f.Hint + ")"
		if start, ok := strings.CutSuffix(w, "*"); w != got && w != hinted && !(ok && strings.HasPrefix(got, start)) {
			t.Errorf("got  %s\nwant %s", hinted, w)
		}
		if f.Code == "" || f.Where != "app.toml" {
			t.Errorf("no code or file: %+v", f)
		}
	}
}

func TestManifestTooLarge(t *testing.T) {
	_, _, err := ParseManifest([]byte(waveHead+"# "+strings.Repeat("x", 256<<10)), Options{})
	if controlplane.CodeOf(err) != controlplane.CodeInvalid {
		t.Errorf("%v", err)
	}
	_, err = open(rawZip{entries: []rawEntry{{name: "app.toml", data: []byte(strings.Repeat("#\n", 200_000))}}}.bytes(), Options{})
	if controlplane.CodeOf(err) != controlplane.CodeInvalid || !hasCode(faultsOf(t, err), CodeManifest) {
		t.Errorf("%v", err)
	}
}

// TestManifestIsReadInNoTime has as many things to say as 256 KiB can hold, on
// one line, so that each position takes long to find.
func TestManifestIsReadInNoTime(t *testing.T) {
	var keys, again strings.Builder
	for i := range 15_000 {
		fmt.Fprintf(&keys, "k%d=1,", i)
		fmt.Fprintf(&again, "A=1,")
	}
	for name, text := range map[string]string{
		"unknown keys":    "App = {" + keys.String() + "Name = \"demo\"}\n",
		"duplicates":      "App = {" + again.String() + "Name = \"demo\"}\n",
		"nested arrays":   "x = [" + strings.Repeat("[[],[]],", 25_000) + "]\n",
		"deep key":        strings.Repeat("a.", 100_000) + "a = 1\n",
		"open brackets":   "x = " + strings.Repeat("[", 250_000),
		"table headers":   strings.Repeat("[[a]]\n", 40_000),
		"one long string": "x = \"" + strings.Repeat("{{", 100_000) + "\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			if _, _, err := ParseManifest([]byte(text), Options{}); err == nil {
				t.Error("taken")
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

func TestManifestOfTheDeveloperGuide(t *testing.T) {
	data, err := os.ReadFile("testdata/guide.toml")
	if err != nil {
		t.Fatal(err)
	}
	m, warnings, err := ParseManifest(data, Options{})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	want := controlplane.Manifest{
		Name: "ai.h2o.wave.my-app", Version: "0.0.1", Title: "My awesome app", Description: "This is my awesome app",
		LongDescription: "LongDescription.md", Tags: []string{"DATA_SCIENCE"}, Lifecycle: controlplane.OnDemand, InstanceTimeout: time.Hour,
		Runtime: controlplane.Runtime{
			AppMode: controlplane.Wave, RoutingMode: controlplane.Domain, Module: "app.run", VolumeMount: "/data", VolumeSize: "1Gi", ResourceVolumeSize: "2Gi",
			MemoryLimit: "500Mi", MemoryReservation: "400Mi", CPULimit: "1.5", CPUReservation: "500m", GPUCount: 1,
			Asked: &controlplane.Resources{MemoryLimit: "500Mi", MemoryReservation: "400Mi", CPULimit: "1.5", CPUReservation: "500m", GPUCount: 1},
		},
		Env: []controlplane.EnvVar{
			{Name: "ENVIRONMENT_VARIABLE_NAME", Secret: "SecretName", SecretKey: "SecretKeyName"},
			{Name: "ANOTHER_ENVIRONMENT_VARIABLE_NAME", Value: "some value"},
		},
		Files: []controlplane.File{
			{Path: "some/path.file", Secret: "FileSecretName", SecretKey: "FileSecretKeyName"},
			{Path: "/another/path.file", Value: "some\nstring\n"},
		},
	}
	if d := cmp.Diff(want, m); d != "" {
		t.Error(d)
	}
}

func TestManifestValues(t *testing.T) {
	app, runtime := func(s string) string { return appHead + s + "[Runtime]\nModule = \"app\"\n" }, func(s string) string { return waveHead + s }
	memory := func(m controlplane.Manifest) string { return m.Runtime.MemoryReservation + " " + m.Runtime.MemoryLimit }
	cpu := func(m controlplane.Manifest) string { return m.Runtime.CPUReservation + " " + m.Runtime.CPULimit }
	tests := []struct {
		name, toml string
		o          Options
		get        func(controlplane.Manifest) string
		want       string
	}{
		{"title is the name", waveHead, Options{}, func(m controlplane.Manifest) string { return m.Title }, "demo"},
		{"description on one line", app("Description = \"a\\n\\tb\\u001b[2J\\r\\nc \"\n"), Options{}, func(m controlplane.Manifest) string { return m.Description }, "a b [2J c"},
		{"category becomes a tag", app("Category = \"Financial Services\"\nTags = [\"X\", \"X\"]\n"), Options{}, func(m controlplane.Manifest) string { return strings.Join(m.Tags, " ") }, "X FINSERV"},
		{"category and its tag", app("Category = \"healthcare\"\nTags = [\"HEALTHCARE\"]\n"), Options{}, func(m controlplane.Manifest) string { return strings.Join(m.Tags, " ") }, "HEALTHCARE"},
		{"category telecommunications", app("Category = \"Telecommunications\"\n"), Options{}, func(m controlplane.Manifest) string { return strings.Join(m.Tags, " ") }, "TELECOM"},
		{"timeout never", app("InstanceTimeout = \"-1\"\n"), Options{}, func(m controlplane.Manifest) string { return fmt.Sprint(int64(m.InstanceTimeout)) }, "-1"},
		{"timeout", app("InstanceTimeout = \"1h30m\"\n"), Options{}, func(m controlplane.Manifest) string { return m.InstanceTimeout.String() }, "1h30m0s"},
		{"memory default", waveHead, Options{}, memory, "512Mi 2Gi"},
		{"memory limit below the default reservation", runtime("MemoryLimit = \"256Mi\"\n"), Options{}, memory, "256Mi 256Mi"},
		{"memory reservation above the default limit", runtime("MemoryReservation = \"3Gi\"\n"), Options{}, memory, "3Gi 3Gi"},
		{"memory default above the cap", waveHead, Options{MaxMemory: "256Mi"}, memory, "256Mi 256Mi"},
		{"memory default of the server", waveHead, Options{DefaultMemoryLimit: "1Gi", DefaultMemoryReservation: "100Mi"}, memory, "100Mi 1Gi"},
		{"CPU default", waveHead, Options{}, cpu, " "},
		{"CPU limit below the server's reservation", runtime("CPULimit = \"100m\"\n"), Options{DefaultCPUReservation: "1"}, cpu, "100m 100m"},
		{"mode in any case", mode("CONTAINER"), Options{}, func(m controlplane.Manifest) string { return string(m.Runtime.AppMode) }, "container"},
		{"runtime version as configured", runtime("RuntimeVersion = \"PY312\"\n"), Options{RuntimeVersions: []controlplane.RuntimeVersion{{Name: "py312"}}}, func(m controlplane.Manifest) string { return m.Runtime.RuntimeVersion }, "py312"},
		{"ignored port", runtime("Port = 80\n"), Options{}, func(m controlplane.Manifest) string { return fmt.Sprint(m.Runtime.Port) }, "0"},
		{"port in hexadecimal", mode("container") + "Port = 0x50\n", Options{}, func(m controlplane.Manifest) string { return fmt.Sprint(m.Runtime.Port) }, "80"},
		{"last env wins", runtime("[[Env]]\nName = \"A\"\nValue = \"1\"\n[[Env]]\nName = \"A\"\nValue = \"2\"\n"), Options{}, func(m controlplane.Manifest) string { return fmt.Sprint(len(m.Env), m.Env[0].Value) }, "12"},
		{"manual address", mode("manual") + "Address = \"http://Host:8000\"\n", Options{}, func(m controlplane.Manifest) string { return m.Runtime.Address }, "http://Host:8000"},
		{"what it asks for itself", runtime("CPULimit = \"2\"\n"), Options{DefaultCPULimit: "1", DefaultMemoryLimit: "1Gi"}, func(m controlplane.Manifest) string {
			return fmt.Sprintf("%+v", *m.Runtime.Asked)
		}, fmt.Sprintf("%+v", controlplane.Resources{CPULimit: "2"})},
		{"link", linkHead + "[Link]\nAddress = \"https://a/b\"\n", Options{}, func(m controlplane.Manifest) string { return m.LinkAddress + m.Runtime.MemoryLimit }, "https://a/b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, _, err := ParseManifest([]byte(tt.toml), tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.get(m); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDeprecatedRuntimeIsRefused(t *testing.T) {
	_, _, err := ParseManifest([]byte(waveHead+"RuntimeVersion = \"old\"\n"), Options{RuntimeVersions: []controlplane.RuntimeVersion{{Name: "old", Deprecated: true}, {Name: "new"}}})
	checkFaults(t, nil, err, "6:18 Runtime.RuntimeVersion: is deprecated and takes no new import")
}

// TestPlacement checks what needs the bundle's files.
func TestPlacement(t *testing.T) {
	volume := func(path string) string {
		return waveHead + "VolumeMount = \"" + path + "\"\nVolumeSize = \"1Gi\"\n"
	}
	tests := []struct {
		name, toml string
		files      []string
		want       string
	}{
		{"description there", appHead + "LongDescription = \"./docs/x.md\"\n[Runtime]\nModule = \"app\"\n", []string{"docs/x.md"}, good},
		{"description missing", appHead + "LongDescription = \"x.md\"\n[Runtime]\nModule = \"app\"\n", []string{"X.md"}, "4:19 App.LongDescription: there is no such file in the bundle (there is X.md)"},
		{"description is a folder", appHead + "LongDescription = \"docs\"\n[Runtime]\nModule = \"app\"\n", []string{"docs/x.md"}, "4:19 App.LongDescription: there is no such file in the bundle"},
		{"volume beside the bundle", volume("/data"), []string{"static/app.css"}, good},
		{"volume over a folder", volume("/static"), []string{"static/app.css"}, "6:15 Runtime.VolumeMount: is a folder of the bundle, which the volume would hide"},
		{"volume over a folder below the app's root", volume("/app/static"), []string{"static/app.css"}, "6:15 Runtime.VolumeMount: is a folder of the bundle, which the volume would hide"},
		{"volume over a deep folder", volume("/app/a/b"), []string{"a/b/c"}, "6:15 Runtime.VolumeMount: is a folder of the bundle, which the volume would hide"},
		{"volume new below the app's root", volume("/app/data"), []string{"static/app.css"}, good},
		{"binary there", mode("binary") + "AppEntryPoint = [\"./bin/server\"]\n", []string{"bin/server*"}, good},
		{"binary missing", mode("binary") + "AppEntryPoint = [\"server\"]\n", nil, "6:18 Runtime.AppEntryPoint[1]: there is no such file in the bundle"},
		{"binary not executable", mode("binary") + "AppEntryPoint = [\"server\"]\n", []string{"server"}, "warning 6:18 Runtime.AppEntryPoint[1]: is not executable (chmod +x server)"},
		{"sample", mode("binary") + "AppEntryPoint = [\"slipway\", \"sample-app\"]\n", nil, good},
		{"container as it should be", mode("container"), []string{"static/app.css", "README.md"}, good},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"app.toml": tt.toml}
			for _, name := range tt.files {
				files[name] = "x"
			}
			_, warnings, err := ValidateFolder(t.Context(), tempFolder(t, files), Options{})
			checkFaults(t, warnings, err, tt.want)
		})
	}
	_, warnings, err := ValidateFolder(t.Context(), tempFolder(t, map[string]string{"app.toml": mode("container"), "main.py": "", "requirements.txt": ""}), Options{})
	if err != nil || len(warnings) != 1 || warnings[0].Code != WarnSources || warnings[0].Where != "main.py" {
		t.Errorf("%v, %v", warnings, err)
	}
	if _, _, err := ValidateFolder(t.Context(), "/does/not/exist", Options{}); controlplane.CodeOf(err) != controlplane.CodeNotFound || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func FuzzParseManifest(f *testing.F) {
	data, err := os.ReadFile("testdata/guide.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(linkHead + "[Link]\nAddress = \"https://a/b\"\n"))
	f.Add([]byte(mode("manual") + "Address = \"http://h:1\"\n[[Env]]\nName.x = [[], {a = 1}]\n"))
	for _, tc := range manifestCases() {
		if text := tc.zip.entries[0].data; len(text) < 4<<10 {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, warnings, err := ParseManifest(data, Options{})
		list := warnings
		if err != nil {
			list = append(list, faultsOf(t, err)...)
		} else if !nameRule.MatchString(m.Name) || len(m.Name+"-"+m.Version) > maxName {
			t.Errorf("took %q %q", m.Name, m.Version)
		}
		for _, x := range list {
			if x.Line < 0 || x.Line > strings.Count(string(data), "\n")+1 || x.Column < 0 || len(x.Value) > maxValueSize || x.Code == "" {
				t.Errorf("fault %+v", x)
			}
		}
	})
}
