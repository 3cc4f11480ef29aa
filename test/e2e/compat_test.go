package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// TestStartedAsH2O runs the binary by a link called h2o, from the configuration
// of the command line to the blocks of an instance.
func TestStartedAsH2O(t *testing.T) {
	t.Parallel()
	s := up(t)
	home, link := t.TempDir(), filepath.Join(t.TempDir(), "h2o")
	if err := os.Symlink(slipwaytest.Binary, link); err != nil {
		t.Fatal(err)
	}
	h2o := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), link, args...)
		cmd.Env, cmd.Dir, cmd.Stdin = append(s.env, "HOME="+home), home, strings.NewReader(stdin)
		var faults strings.Builder
		cmd.Stderr = &faults
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("h2o %s: %v\n%s%s", strings.Join(args, " "), err, out, faults.String())
		}
		return string(out)
	}
	endpoint := regexp.MustCompile(`endpoint = '([^']+)'`)
	token := regexp.MustCompile(`token = '([^']+)'`)
	config, err := os.ReadFile(s.config())
	if err != nil {
		t.Fatal(err)
	}
	h2o(token.FindStringSubmatch(string(config))[1], "config", "setup", "--token", endpoint.FindStringSubmatch(string(config))[1])
	if info, err := os.Stat(filepath.Join(home, ".h2oai", "h2o-cli-config.toml")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	const id = `[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`
	matches := func(out, expression string) {
		t.Helper()
		if !regexp.MustCompile(`^` + expression + `$`).MatchString(out) {
			t.Errorf("%s\nis not %s", out, expression)
		}
	}
	out := h2o("", "bundle", "deploy", folder(t, app{Name: "peak"}), "--wait")
	matches(out, `ID              `+id+`
Title           peak
Version         1\.0\.0-\d{14}
Category        Other
Created At      [^\n]+ \+0000 UTC
Updated At      [^\n]+ \+0000 UTC
Owner           admin
Visibility      PRIVATE
Description
Tags
ID  `+id+`
URL http://`+id+`\.localhost:\d+
`)
	instance := regexp.MustCompile(`(?m)^ID  (\S+)$`).FindStringSubmatch(out)[1]
	for _, step := range []struct{ verb, after string }{{"suspend", "SUSPENDED"}, {"resume", "DEPLOYED"}} {
		matches(h2o("", "instance", step.verb, instance), `(?s)ID            `+instance+`
App
App ID        `+id+`
.*
Status        `+step.after+`
.*
Suspendable   true
Suspend After.*
`)
	}
	matches(h2o("", "app", "list", "-a"), `(?s)ID {36}TITLE {24}OWNER {12}CREATED CATEGORY {6}VISIBILITY {4}TAGS\n.*`)
}
