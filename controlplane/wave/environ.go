package wave

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/environ"
)

// Place is where a Wave server and its app run.
type Place struct {
	App      string        // the app's folder
	Folder   string        // the server's own: the bundle's may have an .env, which it would read
	Pages    string        // the server's web pages
	Patience time.Duration // how long the server asks for an app that does not answer
}

// Environ are the variables of server and app that do not depend on ports, added
// to env. What the manifest may set (spec apps.md §2, [[Env]]) holds over the
// first two.
func Environ(env []string, p Place) []string {
	return environ.Merge([]string{
		"H2O_WAVE_NO_LOG=1",        // else all that pages show goes to the log
		"H2O_WAVE_KEEP_APP_LIVE=1", // an app that is slow to answer stays known; one that ended is a crash
	}, absoluteDirs(env, p.App), []string{
		"H2O_WAVE_WEB_DIR=" + p.Pages,
		// There is no such file. Another one would hold over the keys below.
		"H2O_WAVE_ACCESS_KEYCHAIN=" + filepath.Join(p.Folder, "keychain"),
		// Whoever has them may write to the pages of all visitors.
		"H2O_WAVE_ACCESS_KEY_ID=" + rand.Text(),
		"H2O_WAVE_ACCESS_KEY_SECRET=" + rand.Text(),
		fmt.Sprintf("H2O_WAVE_CONNECTION_TIMEOUT=%d", (p.Patience+time.Second-1)/time.Second),
		"H2O_WAVE_NO_AUTOSTART=1",
	})
}

// Ports are the variables by which server and app find each other on loopback.
func Ports(server, app int) []string {
	return []string{
		fmt.Sprintf("H2O_WAVE_LISTEN=127.0.0.1:%d", server),
		fmt.Sprintf("H2O_WAVE_ADDRESS=http://127.0.0.1:%d", server),
		fmt.Sprintf("H2O_WAVE_APP_ADDRESS=http://127.0.0.1:%d", app),
	}
}

// servedDirs are variables with folders that the server is to show, each as
// [URL path]@[folder], with colons between them.
var servedDirs = []string{"H2O_WAVE_PUBLIC_DIR", "H2O_WAVE_PRIVATE_DIR"}

// absoluteDirs has relative folders begin at the app's, where it is run: the
// server works elsewhere.
func absoluteDirs(env []string, app string) []string {
	env = slices.Clone(env)
	for i, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if !slices.Contains(servedDirs, name) || value == "" {
			continue
		}
		dirs := strings.Split(value, ":")
		for n, d := range dirs {
			if at, folder, ok := strings.Cut(d, "@"); ok && !filepath.IsAbs(folder) {
				dirs[n] = at + "@" + filepath.Join(app, folder)
			}
		}
		env[i] = name + "=" + strings.Join(dirs, ":")
	}
	return env
}
