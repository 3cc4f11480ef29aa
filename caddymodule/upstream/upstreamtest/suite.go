package upstreamtest

import (
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds what a case waits for.
const patience = 5 * time.Second

// FirstByte is how long an app may take to its first byte, in every way.
const FirstByte = time.Second

// Host is the Host header of the suite's requests.
const Host = "shop.apps.test"

// App is where a request goes.
type App struct {
	// Endpoint is ip:port, or the absolute path of a unix socket.
	Endpoint string
	// Prefix is /instance/<ID>/ if the app is in BASE_URL mode, else "".
	Prefix string
}

// Way makes a handler that passes every request on to the app, and what ends
// all that the handler has opened. A request for a WebSocket may also come as
// an extended CONNECT.
type Way func(App) (handler http.Handler, done func(), err error)

// Differences are the cases in which a way is known to do otherwise, by name,
// with the reason.
type Differences map[string]string

// Sometimes begins the reason of a difference that depends on who is faster:
// the case may pass as well.
const Sometimes = "sometimes: "

// testCase is one thing that a way does.
type testCase struct {
	name string
	long bool // left out with -short
	run  func(*fixture)
}

func allCases() []testCase {
	return slices.Concat(answerCases(), malformedCases(), cutCases(), targetCases(), headerCases(), visitorHeaderCases(),
		bodyCases(), repeatCases(), streamCases(), leaveCases(), webSocketCases(), grpcCases(), largeCases())
}

// Run runs every case over the way, each as a subtest.
func Run(t *testing.T, way Way, known Differences) {
	unknown := maps.Clone(known)
	for _, c := range allCases() {
		delete(unknown, c.name)
		t.Run(c.name, func(t *testing.T) {
			if c.long && testing.Short() {
				t.Skip("long")
			}
			why, differs := known[c.name]
			failures := attempt(way, c)
			for range again(known) {
				if (len(failures) > 0) == differs {
					break
				}
				failures = attempt(way, c)
			}
			switch {
			case differs && len(failures) == 0 && strings.HasPrefix(why, Sometimes):
			case differs && len(failures) == 0:
				t.Errorf("this difference is true no more: %s", why)
			case differs:
				t.Logf("%s: %s", why, failures[0])
			}
			for _, failure := range failures {
				if !differs {
					t.Error(failure)
				}
			}
		})
	}
	for name := range unknown {
		t.Errorf("there is no case %q", name)
	}
}

// again is how often a case is tried again that comes out otherwise than it
// should. A way without known differences has one attempt. Of the others, some
// cases depend on who is faster; they are held to what they can do.
func again(known Differences) int {
	if known == nil {
		return 0
	}
	return 2
}

// attempt runs a case and returns what was wrong. Every goroutine that it has
// started must end.
func attempt(way Way, c testCase) []string {
	before := runtime.NumGoroutine()
	f := &fixture{way: way, over: make(chan struct{})}
	finished := make(chan struct{})
	go func() { // ends with the case, whose waits are all bounded
		defer close(finished)
		c.run(f)
	}()
	<-finished
	close(f.over)
	for _, cleanup := range slices.Backward(f.cleanups) {
		cleanup()
	}
	for end := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 64<<10)
			f.errorf("%d goroutines are left:\n%s", runtime.NumGoroutine()-before, stacks[:runtime.Stack(stacks, true)])
			break
		}
	}
	return f.failures
}

// fixture is the surroundings of one case. It fails as a testing.T does, but
// the failure may be a known one.
type fixture struct {
	way  Way
	app  *app
	addr string        // of the server in front
	over chan struct{} // closed at the end of the case

	mu       sync.Mutex
	failures []string
	cleanups []func()
}

func (f *fixture) errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures = append(f.failures, fmt.Sprintf(format, args...))
}

// fatalf ends the case. Only the case's own goroutine calls it.
func (f *fixture) fatalf(format string, args ...any) {
	f.errorf(format, args...)
	runtime.Goexit()
}

func (f *fixture) cleanup(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cleanups = append(f.cleanups, do)
}

func (f *fixture) must(err error) {
	if err != nil {
		f.fatalf("%v", err)
	}
}

// equal fails unless the two are the same.
func equal[V comparable](f *fixture, what string, got, want V) {
	if got != want {
		f.errorf("%s: got %.200q, want %.200q", what, fmt.Sprint(got), fmt.Sprint(want))
	}
}

// hold is how a script waits for the case.
func (f *fixture) hold(until <-chan struct{}) {
	select {
	case <-until:
	case <-f.over:
	}
}

// await waits for what another goroutine of the case sends.
func await[V any](f *fixture, what string, from <-chan V) (v V) {
	select {
	case v = <-from:
	case <-time.After(patience):
		f.fatalf("waited in vain for %s", what)
	}
	return v
}
