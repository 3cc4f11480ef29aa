package launchertest

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// Fixture is a launcher to test and what it is tested with.
type Fixture struct {
	// Launcher is open, leads with epoch 1 and has no instances. The suite
	// closes it, and stops what runs.
	Launcher launcher.Launcher

	// Workload makes a workload that behaves so; its HealthTimeout is its own.
	Workload func(t *testing.T, id string, generation int64, b Behaviour) launcher.Workload

	// End makes a ready workload end unasked.
	End func(t *testing.T, ready launcher.Fact)

	// Answers reports whether something still answers where the workload was;
	// nil asks the endpoint by TCP.
	Answers func(endpoint string) bool

	// RunsCode is false for launchers whose workloads are not theirs: these
	// have no crashes before they are ready, no logs and nothing to force.
	RunsCode bool

	// Contained is true where a workload is the first process of a container: the
	// kernel drops a SIGTERM that comes before its handler, and the grace goes by.
	Contained bool

	// Reopen opens another launcher over the same workloads, whether the
	// present one is closed or not. It does not lead yet. Nil if none adopts.
	Reopen func(t *testing.T) launcher.Launcher

	// Overlaps names workloads that met another one of the same instance.
	Overlaps func() []string

	epoch int64 // the last one that was led with; 0 is the fixture's own
}

// ID is the instance that the suite runs.
const ID = "0a31bd1c-61fa-45b4-8b34-4ab2a43c7d2e"

// Run runs the suite. Each test has a launcher of its own.
func Run(t *testing.T, newLauncher func(t *testing.T) Fixture) {
	for _, c := range []struct {
		name string
		needs
		test func(t *testing.T, f *Fixture)
	}{
		{"a started workload becomes ready", needs{}, becomesReady},
		{"a slow workload is starting until it is ready", needs{}, startsSlowly},
		{"a second start of a generation changes nothing", needs{}, startIsIdempotent},
		{"a newer generation replaces an older one", needs{}, newerReplaces},
		{"an older generation is fenced", needs{}, olderIsFenced},
		{"stop ends it and may be repeated", needs{}, stopIsIdempotent},
		{"a workload is stopped while it starts", needs{}, stopWhileStarting},
		{"a stubborn workload is forced", needs{code: true}, forced},
		{"a crash before ready is told at once", needs{code: true}, crash},
		{"a port that never opens ends the start", needs{}, neverOpens},
		{"the end of a ready workload is told", needs{}, endAfterReady},
		{"every observer learns everything", needs{}, observers},
		{"observe ends with its context", needs{}, observeEnds},
		{"a removed instance begins from nothing", needs{}, removeForgets},
		{"removing and stopping nothing is no error", needs{}, nothingThere},
		{"logs have what was written", needs{code: true}, logs},
		{"logs of an instance that never started are empty", needs{}, emptyLogs},
		{"logs are followed over restarts", needs{code: true}, followLogs},
		{"closing may stop everything", needs{}, closeStops},
		{"a launcher that reopens adopts", needs{reopen: true}, adopts},
		{"a launcher that reopens knows what is fenced", needs{reopen: true}, fencedAcrossReopen},
		{"without leading it acts on nothing", needs{}, notLeading},
		{"resigning leaves workloads alone", needs{}, resigns},
		{"an older epoch does not lead", needs{}, olderEpoch},
		{"who leads next fences and adopts", needs{reopen: true}, fencesAndAdopts},
		{"a start under way is fenced", needs{reopen: true, code: true}, fencesStarts},
		{"any order of leaders runs one workload at most", needs{reopen: true, code: true}, manyLeaders},
		{"any order of calls runs one workload at most", needs{code: true}, atMostOne},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, before) })
			f := newLauncher(t)
			if c.code && !f.RunsCode {
				t.Skip("this launcher runs no code")
			}
			if c.reopen && f.Reopen == nil {
				t.Skip("this launcher does not adopt")
			}
			t.Cleanup(func() {
				if err := f.Launcher.Close(context.Background(), true, time.Second); err != nil {
					t.Errorf("close: %v", err)
				}
				if f.Overlaps != nil {
					for _, o := range f.Overlaps() {
						t.Errorf("two workloads of one instance: %s", o)
					}
				}
			})
			c.test(t, &f)
		})
	}
}

type needs struct{ code, reopen bool }

func (f *Fixture) start(t *testing.T, generation int64, b Behaviour) {
	t.Helper()
	if err := f.Launcher.Start(t.Context(), f.Workload(t, ID, generation, b)); err != nil {
		t.Fatalf("start generation %d: %v", generation, err)
	}
}

func (f *Fixture) stop(t *testing.T, generation int64, grace time.Duration) {
	t.Helper()
	if err := f.Launcher.Stop(t.Context(), ID, generation, grace); err != nil {
		t.Fatalf("stop generation %d: %v", generation, err)
	}
}

// gone fails if the endpoint of a workload that the launcher ended answers.
func (f *Fixture) gone(t *testing.T, endpoint string) {
	t.Helper()
	if f.RunsCode && f.answers(endpoint) {
		t.Errorf("%s still answers", endpoint)
	}
}
