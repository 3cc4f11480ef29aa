package offer

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func mustOffer(t *testing.T, c Config) *Offers {
	t.Helper()
	o, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestSettingsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		says   string
	}{
		"name of a runtime":       {Config{Runtimes: []controlplane.RuntimeVersion{{Name: "a b"}}}, `runtime_version "a b"`},
		"a runtime twice":         {Config{Runtimes: []controlplane.RuntimeVersion{{Name: "a"}, {Name: "A"}}}, "runtime_version A is given twice"},
		"python":                  {Config{Runtimes: []controlplane.RuntimeVersion{{Name: "a", Python: "310"}}}, "python is one such as 3.10"},
		"image of a runtime":      {Config{Runtimes: []controlplane.RuntimeVersion{{Name: "a", Image: "A:1"}}}, `image "A:1"`},
		"two defaults":            {Config{Runtimes: []controlplane.RuntimeVersion{{Name: "a", Default: true}, {Name: "b", Default: true}}}, "2 runtime_versions are the default"},
		"deprecated default":      {Config{Runtimes: []controlplane.RuntimeVersion{{Name: "a", Default: true, Deprecated: true}}}, "cannot be the default"},
		"name of a profile":       {Config{Profiles: []controlplane.LaunchProfile{{Name: ""}}}, `launch_profile ""`},
		"a profile twice":         {Config{Profiles: []controlplane.LaunchProfile{{Name: "a"}, {Name: "a"}}}, "launch_profile a is given twice"},
		"memory of a profile":     {Config{Profiles: []controlplane.LaunchProfile{{Name: "a", Resources: controlplane.Resources{MemoryLimit: "4GB"}}}}, `launch_profile a: memory_limit is a quantity such as 512Mi`},
		"memory of half a byte":   {Config{Default: controlplane.Resources{MemoryLimit: "500m"}}, "default_resources: memory_limit 500m is less than 1Mi"},
		"many digits":             {Config{Max: controlplane.Resources{CPULimit: "1e999999999"}}, "max_resources: cpu_limit is a quantity"},
		"reservation over limit":  {Config{Default: controlplane.Resources{CPULimit: "1", CPUReservation: "2"}}, "default_resources: a reservation is more than its limit"},
		"a cap on reservations":   {Config{Max: controlplane.Resources{MemoryReservation: "1Gi"}}, "max_resources bounds memory_limit, cpu_limit and gpu_count"},
		"GPUs by default":         {Config{Default: controlplane.Resources{GPUCount: 1}}, "default_resources has no GPUs"},
		"too many GPUs":           {Config{Max: controlplane.Resources{GPUCount: 5000}}, "gpu_count lies between 0 and 1024"},
		"an image's expression":   {Config{Images: []string{"("}}, "allowed_images: "},
		"two halves of one":       {Config{Images: []string{"a)|(b"}}, "allowed_images: "},
		"a category's expression": {Config{Categories: []string{"["}}, "category_tags: "},
		"a variable's expression": {Config{Env: []string{"*"}}, "allowed_env: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(c.config)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one with %q", err, c.says)
			}
		})
	}
}

func TestEveryFaultOfTheSettingsIsTold(t *testing.T) {
	_, err := New(Config{Images: []string{"("}, Max: controlplane.Resources{CPULimit: "x"}})
	if err == nil || !strings.Contains(err.Error(), "allowed_images") || !strings.Contains(err.Error(), "cpu_limit") {
		t.Errorf("error %v", err)
	}
}

func TestResources(t *testing.T) {
	type res = controlplane.Resources
	profiles := []controlplane.LaunchProfile{
		{Name: "large", Resources: res{MemoryLimit: "8Gi", CPULimit: "4"}},
		{Name: "small", Resources: res{MemoryLimit: "256Mi"}},
		{Name: "gpu", Resources: res{GPUCount: 2, GPUType: "a100"}},
	}
	builtIn := res{MemoryLimit: "2Gi", MemoryReservation: "512Mi"}
	for _, c := range []struct {
		name   string
		config Config
		app    string // its profile
		asked  *res
		run    string // the profile of the run
		want   res
	}{
		{"nothing is configured", Config{}, "", &res{}, "", builtIn},
		{"the setting", Config{Default: res{MemoryLimit: "1Gi", CPULimit: "2", CPUReservation: "100m"}}, "", &res{}, "", res{MemoryLimit: "1Gi", MemoryReservation: "512Mi", CPULimit: "2", CPUReservation: "100m"}},
		{"the app's profile is over the setting", Config{Profiles: profiles, Default: res{CPULimit: "1"}}, "large", &res{}, "", res{MemoryLimit: "8Gi", MemoryReservation: "512Mi", CPULimit: "4"}},
		{"app.toml is over the app's profile", Config{Profiles: profiles}, "large", &res{MemoryLimit: "3Gi"}, "", res{MemoryLimit: "3Gi", MemoryReservation: "512Mi", CPULimit: "4"}},
		{"the run's profile is over app.toml", Config{Profiles: profiles}, "", &res{MemoryLimit: "3Gi", CPULimit: "1"}, "large", res{MemoryLimit: "8Gi", MemoryReservation: "512Mi", CPULimit: "4"}},
		{"the run's profile stands for the app's", Config{Profiles: profiles}, "large", &res{}, "small", res{MemoryLimit: "256Mi", MemoryReservation: "256Mi"}},
		{"a limit below the default reservation", Config{}, "", &res{MemoryLimit: "100Mi"}, "", res{MemoryLimit: "100Mi", MemoryReservation: "100Mi"}},
		{"a reservation above the default limit", Config{}, "", &res{MemoryReservation: "5Gi"}, "", res{MemoryLimit: "5Gi", MemoryReservation: "5Gi"}},
		{"a setting below the built-in reservation", Config{Default: res{MemoryLimit: "256Mi"}}, "", &res{}, "", res{MemoryLimit: "256Mi", MemoryReservation: "256Mi"}},
		{"caps win", Config{Profiles: profiles, Max: res{MemoryLimit: "4Gi", CPULimit: "2", GPUCount: 1}}, "gpu", &res{}, "large", res{MemoryLimit: "4Gi", MemoryReservation: "512Mi", CPULimit: "2"}},
		{"caps win over GPUs", Config{Profiles: profiles, Max: res{GPUCount: 1}}, "gpu", &res{}, "", res{MemoryLimit: "2Gi", MemoryReservation: "512Mi", GPUCount: 1, GPUType: "a100"}},
		{"a cap bounds what has no limit", Config{Max: res{CPULimit: "2"}}, "", &res{CPUReservation: "3"}, "", res{MemoryLimit: "2Gi", MemoryReservation: "512Mi", CPULimit: "2", CPUReservation: "2"}},
		{"the first GPU is for apps that name none", Config{GPUTypes: []string{"t4", "a100"}}, "", &res{GPUCount: 1}, "", res{MemoryLimit: "2Gi", MemoryReservation: "512Mi", GPUCount: 1, GPUType: "t4"}},
		{"a profile that is gone", Config{}, "large", &res{}, "", builtIn},
		{"a record of before", Config{Profiles: profiles}, "large", nil, "", res{MemoryLimit: "1Gi", MemoryReservation: "512Mi", CPULimit: "4"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			app := &controlplane.App{LaunchProfile: c.app}
			app.Manifest.Runtime = controlplane.Runtime{Asked: c.asked, MemoryLimit: "1Gi", MemoryReservation: "512Mi"}
			if d := cmp.Diff(c.want, mustOffer(t, c.config).Resources(app, c.run)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRuntimes(t *testing.T) {
	ours := []controlplane.RuntimeVersion{{Name: "py312", Python: "3.12", Default: true}, {Name: "Py38", Python: "3.8", Deprecated: true}}
	for _, c := range []struct {
		name     string
		runtimes []controlplane.RuntimeVersion
		mode     controlplane.AppMode
		asked    string
		want     controlplane.RuntimeVersion
		code     controlplane.ReasonCode
	}{
		{"built in", nil, controlplane.Wave, "deb11_py38_wlatest", controlplane.RuntimeVersion{Name: "deb11_py38_wlatest", Python: "3.8"}, ""},
		{"the built-in default wants no Python", nil, controlplane.Python, "", controlplane.RuntimeVersion{Name: "deb11_py310_wlatest", Default: true}, ""},
		{"the configured default does", ours, controlplane.Python, "", ours[0], ""},
		{"any case", ours, controlplane.Python, "PY312", ours[0], ""},
		{"deprecated", ours, controlplane.Python, "py38", ours[1], controlplane.Dependencies},
		{"not offered any more", ours, controlplane.Python, "deb11_py38_wlatest", controlplane.RuntimeVersion{}, controlplane.Dependencies},
		{"a program brings its own", ours, controlplane.Binary, "deb11_py38_wlatest", controlplane.RuntimeVersion{}, ""},
		{"none is the default", ours[1:], controlplane.Python, "", controlplane.RuntimeVersion{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := mustOffer(t, Config{Runtimes: c.runtimes})
			app := &controlplane.App{AppMode: c.mode, Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{AppMode: c.mode, RuntimeVersion: c.asked}}}
			got, ok := o.Runtime(app)
			if got != c.want || ok != (c.want.Name != "") {
				t.Errorf("%+v %t, want %+v", got, ok, c.want)
			}
			wantCode(t, o.Unmet(app), c.code)
		})
	}
}

func TestAnAppRunsOnWhatWasTheDefaultAtItsImport(t *testing.T) {
	const named = "old"
	old, other := controlplane.RuntimeVersion{Name: named, Python: "3.11"}, controlplane.RuntimeVersion{Name: "new", Python: "3.12", Default: true}
	deprecated := old
	deprecated.Deprecated = true
	for name, c := range map[string]struct {
		runtimes []controlplane.RuntimeVersion
		want     controlplane.RuntimeVersion
	}{
		"another is by now": {[]controlplane.RuntimeVersion{old, other}, old},
		"it is deprecated":  {[]controlplane.RuntimeVersion{deprecated, other}, other},
		"it is gone":        {[]controlplane.RuntimeVersion{other}, other},
	} {
		t.Run(name, func(t *testing.T) {
			app := &controlplane.App{RuntimeVersion: named, Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{AppMode: controlplane.Python}}}
			o := mustOffer(t, Config{Runtimes: c.runtimes})
			if got, ok := o.Runtime(app); got != c.want || !ok {
				t.Errorf("%+v %t, want %+v", got, ok, c.want)
			}
			wantCode(t, o.Unmet(app), "")
		})
	}
}

func wantCode(t *testing.T, got []controlplane.Reason, code controlplane.ReasonCode) {
	t.Helper()
	if code == "" && len(got) > 0 || code != "" && (len(got) != 1 || got[0].Code != code) {
		t.Errorf("reasons %v, want %q", got, code)
	}
}

func TestImages(t *testing.T) {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const ecr = `123456\.dkr\.ecr\.us-east-1\.amazonaws\.com/.*`
	for _, c := range []struct {
		name    string
		image   string
		allowed []string
		code    controlplane.ReasonCode
	}{
		{"allowed", "123456.dkr.ecr.us-east-1.amazonaws.com/team/app:1", []string{"x", ecr}, ""},
		{"with its anchors", "123456.dkr.ecr.us-east-1.amazonaws.com/team/app:1", []string{"^" + ecr + "$"}, ""},
		{"no entry, no image", "registry.example.com/app:1", nil, controlplane.ImageNotAllowed},
		{"another registry", "registry.example.com/app:1", []string{ecr}, controlplane.ImageNotAllowed},
		{"it is matched whole", "registry.example.com/app:1", []string{"registry.example.com"}, controlplane.ImageNotAllowed},
		{"not its end alone", "evil.example.com/registry.example.com/app:1", []string{`registry\.example\.com/.*`}, controlplane.ImageNotAllowed},
		{"not across a line", "registry.example.com/app:1", []string{"registry.example.com/app"}, controlplane.ImageNotAllowed},
		{"the tag is a part of it", "registry.example.com/app", []string{`registry\.example\.com/app:latest`}, ""},
		{"by digest", "registry.example.com/app@" + digest, []string{`registry\.example\.com/app@sha256:[0-9a-f]{64}`}, ""},
		{"a tag beside a digest counts for nothing", "registry.example.com/app:1@" + digest, []string{`registry\.example\.com/app@sha256:[0-9a-f]{64}`}, ""},
		{"Docker's own registry", "nginx", []string{`docker\.io/library/nginx:latest`}, ""},
		{"Docker's own registry, spelled out", "docker.io/team/app:1", []string{`docker\.io/team/.*`}, ""},
		{"what looks like a host is a path there", "allowed/app", []string{`allowed/.*`}, controlplane.ImageNotAllowed},
		{"capitals", "customImage:latest", []string{".*"}, controlplane.ImageInvalid},
		{"a template", "{{REGISTRY}}/app", []string{".*"}, controlplane.ImageInvalid},
		{"spaces", "a b", []string{".*"}, controlplane.ImageInvalid},
		{"an option", "--privileged", []string{".*"}, controlplane.ImageInvalid},
		{"none", "", []string{".*"}, controlplane.ImageInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			app := &controlplane.App{AppMode: controlplane.Container, Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{AppMode: controlplane.Container, CustomImage: c.image}}}
			wantCode(t, mustOffer(t, Config{Images: c.allowed}).Unmet(app), c.code)
		})
	}
}

func TestGPUs(t *testing.T) {
	for _, c := range []struct {
		name    string
		count   int
		kind    string
		offered []string
		code    controlplane.ReasonCode
	}{
		{"none wanted", 0, "", nil, ""},
		{"none offered", 1, "", nil, controlplane.NoCapacity},
		{"any", 1, "", []string{"t4"}, ""},
		{"that one", 1, "t4", []string{"a100", "t4"}, ""},
		{"another", 1, "h100", []string{"t4"}, controlplane.NoCapacity},
		{"a type without a number", 0, "h100", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			app := &controlplane.App{AppMode: controlplane.Python, Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{GPUCount: c.count, GPUType: c.kind}}}
			wantCode(t, mustOffer(t, Config{GPUTypes: c.offered}).Unmet(app), c.code)
		})
	}
}

func TestCategories(t *testing.T) {
	tags := []string{"DATA_SCIENCE", "beta", "FINSERV"}
	if got := mustOffer(t, Config{Categories: []string{"[A-Z_]+"}}).Categories(tags); !slices.Equal(got, []string{"DATA_SCIENCE", "FINSERV"}) {
		t.Errorf("categories %v", got)
	}
	if got := mustOffer(t, Config{}).Categories(tags); got == nil || len(got) != 0 {
		t.Errorf("categories %v", got)
	}
}

func TestAnImageThatIsNoneIsSaidOnce(t *testing.T) {
	app := &controlplane.App{AppMode: controlplane.Container, Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{AppMode: controlplane.Container, CustomImage: "customImage:latest"}}}
	reasons := mustOffer(t, Config{}).Unmet(app)
	if len(reasons) == 0 || strings.Count(reasons[0].Text, "customImage:latest") != 1 || !strings.Contains(reasons[0].Text, "lower-case") {
		t.Errorf("%v", reasons)
	}
}
