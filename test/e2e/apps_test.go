package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// importApp imports through the command line and returns the app's ID.
func (s *slipway) importApp(a app) string {
	s.t.Helper()
	return id(s.must("bundle", "import", s.file(a.Name+".wave", a.Bundle(s.t)), "-v", "PUBLIC", "-o", "name"))
}

// id is the ID in the output of -o name: "instance/2efe…".
func id(name string) string { return name[strings.Index(name, "/")+1:] }

// run imports an app and runs one instance of it to the end of its start.
func (s *slipway) run(a app) *v1.Instance {
	s.t.Helper()
	return s.runApp(s.importApp(a))
}

func (s *slipway) runApp(app string) *v1.Instance {
	s.t.Helper()
	return s.instance(id(s.must("app", "run", app, "-v", "PUBLIC", "--wait", "-o", "name")))
}

func (s *slipway) instance(id string) *v1.Instance {
	s.t.Helper()
	in, err := s.api().Instance(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return in
}

// awaitStatus waits until the instance has this status.
func (s *slipway) awaitStatus(id, status string) *v1.Instance {
	s.t.Helper()
	var in *v1.Instance
	eventually(s.t, id+" is "+status, func() bool {
		in = s.instance(id)
		return in.Status == status
	})
	return in
}

// alias creates an alias; an empty instance leaves it unassigned.
func (s *slipway) alias(name, instance string, primary bool) {
	s.t.Helper()
	r := v1.AliasRequest{Name: name}
	if instance != "" {
		r.InstanceID, r.Primary = &instance, &primary
	}
	if _, err := s.api().CreateAlias(s.t.Context(), r); err != nil {
		s.t.Fatal(err)
	}
}

func (s *slipway) assign(api *client.Client, name, instance string, primary bool) {
	s.t.Helper()
	if _, err := api.AssignAlias(s.t.Context(), name, v1.AssignRequest{InstanceID: &instance, Primary: &primary}); err != nil {
		s.t.Fatal(err)
	}
}

// file writes a file into a folder of the test's own and returns its path.
func (s *slipway) file(name string, data []byte) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// startLog is a file for START_LOG, and a count of the starts in it.
func startLog(t *testing.T) (name string, starts func() int) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "starts")
	return name, func() int {
		raw, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Count(string(raw), "\n")
	}
}

// killApp ends the app's process, and only it.
func (s *slipway) killApp(id string) {
	s.t.Helper()
	pids := s.pids(id)
	if len(pids) != 1 {
		s.t.Fatalf("%s has the processes %v", id, pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "the app has ended", func() bool { return !slices.Contains(s.pids(id), pids[0]) })
}
