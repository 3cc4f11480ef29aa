package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// A log that is followed ends with the right to read it, and who follows it is
// told so; it ends with its instance too, which is no error.
func TestWhoFollowsALogIsToldWhyItEnds(t *testing.T) {
	t.Parallel()
	s := up(t, "--no-sample")
	in := s.run(app{Name: "logged"})
	for _, c := range []struct {
		name string
		end  func(token string)
		code int
		says string
	}{
		{"the token is revoked", func(token string) {
			s.must("token", "revoke", token)
		}, 4, "error: "},
		{"the instance is terminated", func(string) {
			s.must("instance", "terminate", in.ID, "--wait")
		}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			secret := s.must("token", "create", "reader", "--scopes", "read,write")
			id := ""
			for line := range strings.Lines(s.must("token", "list")) {
				if f := strings.Split(line, "\t"); len(f) > 1 && f[1] == "reader" {
					id = f[0]
				}
			}
			cmd := exec.CommandContext(t.Context(), slipwaytest.Binary, "instance", "logs", in.ID, "--follow")
			cmd.Env = append(s.env, "SLIPWAY_ENDPOINT="+s.origin(""), "SLIPWAY_TOKEN="+secret)
			cmd.Dir = t.TempDir()
			var faults bytes.Buffer
			cmd.Stderr = &faults
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for more := true; more && lines.Text() != "testapp listens"; {
				if more = lines.Scan(); !more {
					t.Errorf("the log does not come\n%s", &faults)
				}
			}
			c.end(id)
			for lines.Scan() { // what it says at its end
			}
			err = cmd.Wait()
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			result{code: cmd.ProcessState.ExitCode(), err: faults.String()}.wants(t, c.code, c.says)
		})
	}
}

// What lists sends what the API takes.
func TestEveryListIsListed(t *testing.T) {
	t.Parallel()
	s := up(t)
	for _, list := range []string{
		"app list", "instance list", "alias list", "tag list", "token list",
		"admin app list", "admin instance list", "admin alias list", "admin tag list", "admin user list", "admin edge list",
	} {
		for _, output := range []string{"", "wide", "json", "yaml", "name"} {
			args := strings.Fields(list)
			if output != "" {
				args = append(args, "-o", output)
			}
			if r := s.cli(args...); r.code != 0 {
				t.Errorf("slipway %s: exit %d\n%s", strings.Join(args, " "), r.code, r.err)
			}
		}
	}
}
