package objects

import (
	"fmt"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

func TestWhereAnAppListens(t *testing.T) {
	for _, c := range []struct {
		name string
		mode controlplane.AppMode
		port int // of the manifest
		want int // 0: one of the instance's own
	}{
		{"a container", controlplane.Container, 0, DefaultPort},
		{"a container that names one", controlplane.Container, 9000, 9000},
		{"an app from a bundle", controlplane.Python, 0, 0},
		{"one that names one", controlplane.Binary, 9000, 9000},
	} {
		t.Run(c.name, func(t *testing.T) {
			app := &controlplane.App{AppMode: c.mode, Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{Port: c.port}}}
			of := map[int]bool{}
			for n := range 200 {
				w := &launcher.Workload{InstanceID: fmt.Sprint("instance-", n), Generation: 1, App: app}
				port := portOf(w)
				if w.Generation++; portOf(w) != port {
					t.Errorf("the next start of %s is at another port", w.InstanceID)
				}
				if c.want == 0 && (port < firstPort || port > lastPort) || c.want != 0 && port != c.want {
					t.Errorf("%s listens at %d", w.InstanceID, port)
				}
				of[port] = true
			}
			if c.want == 0 && len(of) < 190 {
				t.Errorf("200 instances have %d ports", len(of))
			}
		})
	}
}
