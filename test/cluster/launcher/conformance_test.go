package launcher_test

import (
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
			Launcher:  leader,
			RunsCode:  true,
			Contained: true,
			Workload: func(_ *testing.T, id string, g int64, b launchertest.Behaviour) launcher.Workload {
				return y.workload(id, g, b)
			},
			End:      func(_ *testing.T, f launcher.Fact) { exit(f.Endpoint, 7) },
			Answers:  answers,
			Reopen:   func(t *testing.T) launcher.Launcher { return y.open(t) },
			Overlaps: y.census.Overlaps,
		}
	})
}
