package local

import (
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func (r *run) tokenFile() string { return filepath.Join(r.dir, "token") }

func (r *run) origin() string { return "http://localhost:" + strconv.Itoa(r.Port) }

// URL is where the app is reached: in BASE_URL mode below its instance's path,
// which it gets as it is on the platform too.
func (r *run) url() string {
	if r.m.Runtime.RoutingMode == controlplane.BaseURL {
		return r.origin() + r.base()
	}
	return r.origin() + "/"
}

func (r *run) base() string { return "/instance/" + r.id("instance") + "/" }

// id is the same for each run of an app of that name and version.
func (r *run) id(of string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("slipway-exec/"+of+"/"+r.m.Name+"/"+r.m.Version)).String()
}

// environ is all that the app finds in its environment (spec apps.md §4).
func (r *run) environ() []string {
	dir := func(name string) string { return filepath.Join(r.dir, name) }
	env := []string{
		"PATH=" + r.own("PATH", "/usr/local/bin:/usr/bin:/bin"),
		"LANG=" + r.own("LANG", "C.UTF-8"),
		"HOME=" + dir("home"),
		"TMPDIR=" + dir("tmp"),
	}
	if runtime.GOOS == "windows" {
		env = append(env, "SYSTEMROOT="+r.own("SYSTEMROOT", `C:\Windows`), "USERPROFILE="+dir("home"), "TEMP="+dir("tmp"), "TMP="+dir("tmp"))
	}
	for _, e := range r.m.Env {
		value := e.Value
		if e.Secret != "" {
			own, there := lookup(r.Environ, e.Name)
			if !there {
				if _, given := lookup(r.Env, e.Name); !given && !e.Optional {
					r.Warn("%s is not set: its value is a secret; give one with --env %s=VALUE", e.Name, e.Name)
				}
				continue
			}
			value = own
		}
		env = append(env, e.Name+"="+value)
	}
	env = append(env, r.Env...)
	env = append(env,
		"H2O_CLOUD_ENVIRONMENT="+r.origin(),
		"H2O_CLOUD_INSTANCE_ID="+r.id("instance"),
		"H2O_CLOUD_APP_NAME="+r.m.Name,
		"H2O_CLOUD_APP_VERSION="+r.m.Version,
		"H2O_CLOUD_APP_ID="+r.id("app"),
		"SLIPWAY_URL="+r.url(),
		"SLIPWAY_TOKEN_FILE="+r.tokenFile(),
		"PORT="+strconv.Itoa(r.Port),
	)
	if r.m.Runtime.RoutingMode == controlplane.BaseURL {
		env = append(env, "H2O_WAVE_BASE_URL="+r.base())
	}
	return merge(env)
}

// own is a variable of the developer's.
func (r *run) own(name, otherwise string) string {
	if v, ok := lookup(r.Environ, name); ok && v != "" {
		return v
	}
	return otherwise
}

func lookup(env []string, name string) (string, bool) {
	for _, entry := range slices.Backward(env) {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// merge keeps the last of each name, at the place of the first.
func merge(env []string) []string {
	var out []string
	at := map[string]int{}
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		if i, seen := at[name]; seen {
			out[i] = entry
			continue
		}
		at[name] = len(out)
		out = append(out, entry)
	}
	return out
}

// checkPort finds out before all else that somebody listens there.
func checkPort(port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		return &controlplane.Error{
			Code: controlplane.CodeConflict, What: fmt.Sprintf("port %d cannot be used", port), Cause: err,
			Hint: "choose another with --port",
		}
	}
	return nil
}
