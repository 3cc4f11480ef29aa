package launcher_test

import (
	"net/http"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

func TestConformance(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	launchertest.Run(t, func(t *testing.T) launchertest.Fixture {
		y := newYard(t)
		leader := y.open(t)
		if err := leader.Lead(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		return launchertest.Fixture{
			Launcher: leader,
			RunsCode: true,
			Workload: func(_ *testing.T, id string, g int64, b launchertest.Behaviour) launcher.Workload {
				return y.workload(id, g, b)
			},
			End: func(t *testing.T, f launcher.Fact) {
				if resp, err := http.Get("http://" + f.Endpoint + "/exit?code=7"); err == nil {
					resp.Body.Close()
				}
				http.DefaultClient.CloseIdleConnections()
			},
			Answers:  answers,
			Reopen:   func(t *testing.T) launcher.Launcher { return y.open(t) },
			Overlaps: y.census.Overlaps,
		}
	})
}
