package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// picture is what a restart has to keep: instances by ID, aliases by name.
func (s *slipway) picture() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	for in, err := range s.api().AllInstances(s.t.Context()) {
		if err != nil {
			s.t.Fatal(err)
		}
		all["instance "+in.ID] = fmt.Sprint(in.AppID, in.Status, in.URL, in.Visibility)
	}
	for a, err := range s.api().AllAliases(s.t.Context()) {
		if err != nil {
			s.t.Fatal(err)
		}
		all["alias "+a.Name] = fmt.Sprint(a.ID, *a.InstanceID, a.Primary, a.State)
	}
	return all
}

// TestARestartKeepsEverything: after TERM, which ends the instances too, and
// after kill -9, which they survive.
func TestARestartKeepsEverything(t *testing.T) {
	t.Parallel()
	s := up(t)
	logName, starts := startLog(t)
	appID := s.importApp(app{Name: "app", Env: map[string]string{"START_LOG": logName}})
	awake, asleep := s.runApp(appID), s.runApp(appID)
	base := s.run(app{Name: "base", Mode: "BASE_URL"})
	s.alias("pretty", awake.ID, true)
	s.alias("other", asleep.ID, false)
	s.sleep(asleep.ID)
	api := s.api() // its token is the one of the first start
	before := s.picture()
	visit := func() echo { return s.get(s.host("pretty"), "/").echo(t) }
	// same wants everything as it was, with the token of before.
	same := func() {
		t.Helper()
		// Whoever comes first is answered, whether it runs already or not.
		if e := visit(); e.Instance != awake.ID {
			t.Errorf("the alias leads to %s", e.Instance)
		}
		s.get(s.host(""), "/instance/"+base.ID+"/").echo(t)
		eventually(t, "everything is as it was", func() bool { return cmp.Equal(before, s.picture()) })
		if _, err := api.Me(t.Context()); err != nil {
			t.Errorf("the token of before: %v", err)
		}
		if a := s.get(s.host("other"), "/"); a.status != 302 || len(s.pids(asleep.ID)) > 0 {
			t.Errorf("the sleeping one: %d, processes %v", a.status, s.pids(asleep.ID))
		}
	}
	t.Run("TERM", func(t *testing.T) {
		s.stop()
		if left := s.processes(); len(left) > 0 {
			t.Errorf("processes outlive it: %v", left)
		}
		s.start()
		same()
		if starts() != 3 {
			t.Errorf("%d starts, want 3", starts())
		}
	})
	t.Run("kill -9", func(t *testing.T) {
		pid := visit().Pid
		s.kill()
		if pids := s.pids(awake.ID); len(pids) != 1 || pids[0] != pid {
			t.Errorf("after the kill there are the processes %v, not %d", pids, pid)
		}
		s.start()
		same()
		if now := visit().Pid; now != pid || starts() != 3 {
			t.Errorf("%d answers, was %d; %d starts", now, pid, starts())
		}
	})
	t.Run("an app that ended while nobody looked", func(t *testing.T) {
		s.kill()
		s.killApp(awake.ID)
		s.start()
		// The record still says DEPLOYED; the first visitor notices nothing.
		if e := visit(); e.Instance != awake.ID || starts() != 4 {
			t.Errorf("%s answers after %d starts", e.Instance, starts())
		}
		same()
	})
	t.Run("what sleeps still wakes", func(t *testing.T) {
		if e := s.get(s.host(asleep.ID), "/").echo(t); e.Instance != asleep.ID {
			t.Errorf("%s answers", e.Instance)
		}
	})
}

// TestAKillAtAnyMomentIsRepaired kills `slipway up` in the middle of a burst of
// changes, and looks at what the next one makes of it.
func TestAKillAtAnyMomentIsRepaired(t *testing.T) {
	t.Parallel()
	s := up(t)
	appID := s.importApp(app{Name: "app"})
	ids := []string{s.runApp(appID).ID, s.runApp(appID).ID, s.runApp(appID).ID}
	s.alias("hop", ids[0], true)
	for round := range 5 {
		var wg sync.WaitGroup
		for worker := range 3 {
			api := s.api()
			wg.Go(func() { s.burst(api, appID, ids[worker]) })
		}
		after := time.Duration(rand.IntN(400)) * time.Millisecond
		time.Sleep(after)
		s.kill()
		wg.Wait()
		s.start()
		s.checkSettled(t, fmt.Sprintf("round %d, killed after %s", round, after))
	}
	for _, id := range ids {
		s.must("instance", "resume", id, "--wait")
		if e := s.get(s.host(""), "/instance/"+id+"/"); e.status != 307 {
			t.Errorf("%s: %d", id, e.status)
		}
	}
}

// burst changes things until slipway does not answer any more.
func (s *slipway) burst(api *client.Client, appID, id string) {
	ctx, yes := s.t.Context(), true
	steps := []func() error{
		func() error { _, err := api.Suspend(ctx, id); return err },
		func() error {
			_, err := api.AssignAlias(ctx, "hop", v1.AssignRequest{InstanceID: &id, Primary: &yes})
			return err
		},
		func() error { _, err := api.Resume(ctx, id); return err },
		func() error {
			in, err := api.Run(ctx, v1.RunRequest{AppID: appID})
			if err == nil {
				_, err = api.Terminate(ctx, in.ID)
			}
			return err
		},
	}
	for i := 0; ; i++ {
		err := steps[i%len(steps)]()
		if client.CodeOf(err) == "unavailable" {
			return
		}
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
	}
}

// checkSettled wants every instance to come to rest, with one process where
// it is DEPLOYED and none where it is not, and no process without an instance.
func (s *slipway) checkSettled(t *testing.T, when string) {
	t.Helper()
	var statuses map[string]string
	eventually(t, when+": every instance comes to rest", func() bool {
		statuses = map[string]string{}
		for in, err := range s.api().AllInstances(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			statuses[in.ID] = in.Status
			if in.Status != "DEPLOYED" && in.Status != "SUSPENDED" && in.Status != "FAILED" {
				return false
			}
		}
		return true
	})
	want := map[string]int{}
	for id, status := range statuses {
		if status == "DEPLOYED" {
			want[id] = 1
		}
	}
	count := func() map[string]int {
		got := map[string]int{}
		for _, p := range s.processes() {
			got[p.Instance]++
		}
		return got
	}
	if got := count(); !maps.Equal(got, want) {
		t.Errorf("%s: processes per instance %v, want %v; statuses %v", when, got, want, statuses)
	}
	primaries := map[string]int{}
	for a, err := range s.api().AllAliases(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if a.Primary {
			primaries[*a.InstanceID]++
		}
	}
	for id, n := range primaries {
		if n > 1 {
			t.Errorf("%s: %s has %d primary aliases", when, id, n)
		}
	}
}

// TestACopyOfTheDataFolderGoesOn: what a backup gives back, or another disk.
func TestACopyOfTheDataFolderGoesOn(t *testing.T) {
	t.Parallel()
	s := up(t)
	in := s.run(app{Name: "app"})
	s.kill()
	slipwaytest.KillApps(s.data)
	first := s.data
	s.data += "-copy"
	if out, err := exec.Command("cp", "-a", first, s.data).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.start()
	s.get(s.host(in.ID), "/").echo(t)
	if pids := s.pids(in.ID); len(pids) != 1 {
		t.Errorf("processes %v", pids)
	}
	s.must("instance", "terminate", in.ID, "--yes", "--wait")
}
