package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// The times of these tests. The first is below the edges' interval of reports,
// and above what a machine with too much to do holds up a stream for.
const (
	idleTimeout     = 8 * time.Second
	presenceTimeout = 26 * time.Second
	busyFor         = 22 * time.Second
)

// verdicts are instances, by what uses them and what becomes of that.
var verdicts = []struct {
	name  string
	visit func(context.Context, *visitor) error
	// because and by are what keeps it awake past the deadline of its start, and
	// what extended it, as `why` says, and said so in words. Without because it
	// sleeps then.
	because, by, says string
	// ends: it sleeps in the end, however long the visit lasts.
	ends bool
}{
	{"a film", takes("/film"), "activity", "stream", "it was used", false},
	{"a long download", takes("/file"), "activity", "stream", "it was used", false},
	{"a dashboard with heartbeats", listens("/endless"), "activity", "stream", "it was used", false},
	{"somebody who comes again and again", polls("curl/8.5.0"), "activity", "request", "it was used", false},
	{"an idle tab with pings", pings, "presence", "presence", "a WebSocket or a stream to it is open", true},
	{"a silent dashboard", listens("/silent"), "presence", "presence", "a WebSocket or a stream to it is open", true},
	{"a batch job", once("/job?for=" + busyFor.String()), "busy", "", "it says that it is busy", true},
	{"an uptime robot", polls(uptimeRobot), "", "", "", true},
	{"nobody", func(context.Context, *visitor) error { return nil }, "", "", "", true},
}

// scene is one instance of the test.
type scene struct {
	*slipway
	t     *testing.T
	id    string
	begun time.Time // before the visit
	visit *visitor

	watched chan struct{} // closed when these are known
	kept    *v1.Why       // what was said past its deadline; nil: it was not kept awake
	said    string        // and by the command line
}

// TestWhatKeepsAnInstanceAwake holds spec instances.md §4 for those who visit
// and those who only seem to: whether the instance is awake past its deadline,
// and what `why` says of it.
func TestWhatKeepsAnInstanceAwake(t *testing.T) {
	t.Parallel()
	s := newSlipway(t)
	s.configure(fmt.Sprintf("presence_timeout %s\ndrain 1s", presenceTimeout))
	s.start()
	ctx, leave := context.WithCancel(t.Context())
	var visits sync.WaitGroup
	scenes := make([]*scene, len(verdicts))
	defer func() {
		leave()
		visits.Wait()
		for i, c := range scenes {
			if t.Failed() && c != nil {
				t.Logf("%s\n%s", verdicts[i].name, s.cli("instance", "events", c.id).out)
			}
		}
	}()

	app := s.importApp(app{Name: "app", Timeout: idleTimeout.String()})
	transport := loopback(t)
	public := "PUBLIC"
	for i, x := range verdicts {
		in, err := s.api().Run(t.Context(), v1.RunRequest{AppID: app, Visibility: &public})
		if err != nil {
			t.Fatal(err)
		}
		s.awaitStatus(in.ID, "DEPLOYED")
		c := &scene{slipway: s, t: t, id: in.ID, begun: time.Now(), watched: make(chan struct{})}
		c.visit = &visitor{client: &http.Client{Transport: transport}, url: s.origin(in.ID)}
		scenes[i] = c
		visits.Go(func() {
			if err := x.visit(ctx, c.visit); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", x.name, err)
			} else if err == nil && !x.ends {
				t.Errorf("%s: the visit has ended", x.name)
			}
		})
		api := s.api()
		visits.Go(func() { c.watch(ctx, api, x.because, x.says) })
	}
	for i, x := range verdicts {
		t.Run(x.name, func(t *testing.T) {
			c := scenes[i]
			c.t = t
			if x.because != "" {
				c.wasKept(x.because, x.by)
			}
			if x.ends {
				c.fallsAsleep(x.because)
			}
		})
	}
	t.Run("who is still there keeps it awake", func(t *testing.T) {
		for i, x := range verdicts {
			c := scenes[i]
			if c.t = t; !x.ends {
				// Presence is over by now, and so is what a job asked for.
				eventually(t, x.name+" is activity", func() bool {
					why := c.why(c.id)
					return why.ExtendedAt.Sub(c.begun) > presenceTimeout && why.Status == "DEPLOYED" && why.Begun.Cause == "run"
				})
			}
		}
		robot := scenes[len(scenes)-2]
		eventually(t, "the robot is told that it sleeps", func() bool { return robot.visit.asleep.Load() >= 2 })
		if why := robot.why(robot.id); why.Status != "SUSPENDED" || why.Begun.Cause != "run" || robot.visit.served.Load() == 0 {
			t.Errorf("%+v, after %d answers to the robot", why, robot.visit.served.Load())
		}
	})
}

// watch waits until `why` says that it runs past the deadline of its start, and
// keeps what it says. Between two reports of the edge it is marked as about to
// sleep, and that is taken back.
func (s *scene) watch(ctx context.Context, api *client.Client, because, says string) {
	defer close(s.watched)
	if because == "" {
		return
	}
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		if s.kept == nil {
			if why, err := api.Why(ctx, s.id); err == nil && why.Status == "DEPLOYED" && s.isPast(why, because) {
				s.kept = why
			}
			continue
		}
		cmd := exec.CommandContext(ctx, slipwaytest.Binary, "instance", "why", s.id)
		cmd.Env = append(slices.Clip(s.env), "SLIPWAY_CONFIG="+s.config())
		if out, err := cmd.CombinedOutput(); err == nil && strings.Contains(string(out), says) {
			s.said = string(out)
			return
		}
	}
}

// isPast reports whether something has extended it past the deadline of its start.
func (s *scene) isPast(why *v1.Why, because string) bool {
	switch {
	case because == "busy":
		return why.Busy != nil && time.Since(s.begun) > idleTimeout
	case why.ExtendedAt == nil:
		return false
	case because == "presence":
		return why.ExtendedAt.Sub(s.begun) > idleTimeout
	}
	return why.ExtendedAt.Sub(s.begun) > idleTimeout*3/2
}

// wasKept looks at what was said.
func (s *scene) wasKept(because, by string) {
	s.t.Helper()
	<-s.watched
	why := s.kept
	if why == nil || s.said == "" {
		s.t.Fatalf("it was not kept awake past its deadline: %+v", s.why(s.id))
	}
	if why.Begun == nil || why.Begun.Cause != "run" || why.Sleep != nil {
		s.t.Errorf("it has slept meanwhile: %+v", why)
	}
	if !why.Awake || why.Because != because || by != "" && text(why.ExtendedBy) != by || why.SleepsAt == nil {
		s.t.Fatalf("why says %+v, extended by %s, sleeps at %v; want %s by %s", why, text(why.ExtendedBy), why.SleepsAt, because, by)
	}
	earliest, latest := why.ExtendedAt.Add(idleTimeout), why.ExtendedAt.Add(idleTimeout*3/2)
	switch because {
	case "presence":
		if most := s.begun.Add(presenceTimeout + idleTimeout); latest.After(most) {
			earliest, latest = s.begun.Add(presenceTimeout), most
		}
	case "busy":
		if earliest, latest = *why.Busy.Until, *why.Busy.Until; text(why.Busy.Reason) != "training" {
			s.t.Errorf("it is busy with %q", text(why.Busy.Reason))
		}
	}
	if at := why.SleepsAt; at.Before(earliest) || at.After(latest) {
		s.t.Errorf("it sleeps at %s, want %s to %s", at, earliest, latest)
	}
}

// fallsAsleep waits for that, and for what `why` says of it: it was awake until
// what kept it awake was over, and no longer than the test's patience.
func (s *scene) fallsAsleep(kept string) {
	s.t.Helper()
	s.awaitStatus(s.id, "SUSPENDED")
	why := s.why(s.id)
	if why.Awake || why.Because != "idle" || why.Sleep == nil || why.Begun == nil || why.Begun.Cause != "run" || why.Begun.ReadyAt == nil {
		s.t.Fatalf("why says %+v", why)
	}
	used := *s.instance(s.id).LastActive
	if latest := s.begun.Add(idleTimeout); used.After(latest) {
		s.t.Errorf("it was used at %s, and nobody did after %s", used, latest)
	}
	earliest := used.Add(idleTimeout)
	switch kept {
	case "presence":
		earliest = used.Add(presenceTimeout)
	case "busy":
		earliest = s.begun.Add(busyFor)
	case "":
		if !used.Equal(*why.Begun.ReadyAt) || why.ExtendedBy != nil {
			s.t.Errorf("it was used at %s (%s), and ready at %s", used, text(why.ExtendedBy), why.Begun.ReadyAt)
		}
	}
	if why.Sleep.At.Before(earliest) {
		s.t.Errorf("it went to sleep at %s, before %s", why.Sleep.At, earliest)
	}
	if said := s.must("instance", "why", s.id); !strings.Contains(said, "nobody used it") {
		s.t.Errorf("the command line says\n%s", said)
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
