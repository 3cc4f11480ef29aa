package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata/script")

// TestScripts runs testdata/script against a fake API. In a script
//
//	slipway ARG…          runs the command line; SLIPWAY_ENDPOINT is the fake's
//	code N                checks the exit code of the last slipway
//	running               adds a DEPLOYED instance of the first app
//	hostile               puts control sequences into the first app
//	down N                lets the API answer N calls with 503
//	lags                  lets one of the two edges stand still
//	devices CODE…         is what the next questions for a token of a device get; then it is approved
//	asked NAME SCOPES     checks what the last sign-in asked for
//	local                 takes the provider away
//	modes FILE MODE       checks a file's mode, in octal
//	guides NAME           lets the API hold what the guides of h2o or q8s show
//	guide FILE:LINE       runs a block's command, and compares (guides_test.go)
//	imported QUERY        checks the query of the last import
//
// The commands h2o and q8s-cli are slipway under that name; the variable NAME
// gives slipway another, NOW another time, TTY=1 makes stdout and stderr a
// terminal, STDIN is typed, and PORT is a free one.
func TestScripts(t *testing.T) {
	type fakeKey struct{}
	fake := func(ts *testscript.TestScript) *fakeAPI { return ts.Value(fakeKey{}).(*fakeAPI) }
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			f := newFakeAPI()
			s := httptest.NewServer(f)
			e.Defer(s.Close)
			e.Values[fakeKey{}] = f
			e.Setenv("SLIPWAY_ENDPOINT", s.URL)
			e.Setenv("ENDPOINT", s.URL)
			e.Setenv("SLIPWAY_TOKEN", "slw_admin")
			e.Setenv("PORT", strconv.Itoa(freePort(t)))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"slipway": runAs("slipway"),
			"h2o":     runAs("h2o"),
			"q8s-cli": runAs("q8s-cli"),
			"guide":   runGuide,
			"modes": func(ts *testscript.TestScript, _ bool, args []string) {
				info, err := os.Stat(ts.MkAbs(args[0]))
				ts.Check(err)
				if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[1] {
					ts.Fatalf("the mode of %s is %s", args[0], got)
				}
			},
			"guides": func(ts *testscript.TestScript, _ bool, args []string) {
				f := fake(ts)
				f.mu.Lock()
				defer f.mu.Unlock()
				f.asInGuide(args[0], "it begins\n"+strings.ReplaceAll(printed(guideBlocks()[args[1]]), "...\n", "")+"it goes on\n")
				ts.Setenv("NOW", guideTime.Format(time.RFC3339Nano))
			},
			"code": func(ts *testscript.TestScript, _ bool, args []string) {
				if got := ts.Getenv("CODE"); got != args[0] {
					ts.Fatalf("exit code %s, want %s", got, args[0])
				}
			},
			"running": func(ts *testscript.TestScript, _ bool, _ []string) {
				f := fake(ts)
				f.mu.Lock()
				defer f.mu.Unlock()
				in := f.addInstance(f.apps[0], "PUBLIC")
				in.Status, in.Stage = "DEPLOYED", nil
			},
			"hostile": func(ts *testscript.TestScript, _ bool, _ []string) {
				f := fake(ts)
				f.mu.Lock()
				defer f.mu.Unlock()
				f.apps[0].Title = "\x1b[2JDemo\t\u009b31m\u202e"
				f.apps[0].Description = "one\nOwner  somebody\x07"
			},
			"lags": func(ts *testscript.TestScript, _ bool, _ []string) {
				f := fake(ts)
				f.mu.Lock()
				defer f.mu.Unlock()
				f.lags = true
			},
			"devices": func(ts *testscript.TestScript, _ bool, args []string) {
				f := fake(ts)
				f.mu.Lock()
				defer f.mu.Unlock()
				f.access.devices = args
			},
			"asked": func(ts *testscript.TestScript, _ bool, args []string) {
				f := fake(ts)
				f.mu.Lock()
				defer f.mu.Unlock()
				if got := f.access.asked; got.Name != args[0] || strings.Join(got.Scopes, ",") != args[1] {
					ts.Fatalf("it asked for %q with %q", got.Name, got.Scopes)
				}
			},
			"imported": func(ts *testscript.TestScript, _ bool, args []string) {
				f := fake(ts)
				f.mu.Lock()
				defer f.mu.Unlock()
				if f.imported != args[0] {
					ts.Fatalf("the query was %s", f.imported)
				}
			},
			"local": func(ts *testscript.TestScript, _ bool, _ []string) {
				f := fake(ts)
				f.mu.Lock()
				defer f.mu.Unlock()
				f.access.provider = nil
			},
			"down": func(ts *testscript.TestScript, _ bool, args []string) {
				f := fake(ts)
				f.mu.Lock()
				defer f.mu.Unlock()
				f.down, _ = strconv.Atoi(args[0])
			},
		},
	})
}

// freePort is a port that nobody listened on a moment ago.
func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// testProgram is a program whose clock stands still and which does not wait.
func testProgram(world IO) *program {
	p := newProgram(world)
	p.now = testNow
	p.poll, p.watch = time.Millisecond, time.Millisecond
	p.host = "workstation"
	p.pause = func(ctx context.Context, d time.Duration) error {
		p.say("(pause of %s)", d)
		return ctx.Err()
	}
	p.browse = func(url string) error {
		p.say("(a browser opens %s)", url)
		return nil
	}
	return p
}

func testNow() time.Time { return fakeTime.Add(18*24*time.Hour + time.Hour) }

// runAs is the command line under a name, in a script.
func runAs(name string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		runProgram(ts, cmp.Or(ts.Getenv("NAME"), name), neg, args, ts.Stdout())
	}
}

func runProgram(ts *testscript.TestScript, name string, neg bool, args []string, out io.Writer) {
	tty := ts.Getenv("TTY") != ""
	p := testProgram(IO{
		In: strings.NewReader(ts.Getenv("STDIN")), Out: out, Err: ts.Stderr(), Program: name,
		OutTTY: tty, ErrTTY: tty, Env: ts.Getenv, Dir: ts.MkAbs("."),
		Environ: []string{"PATH=" + os.Getenv("PATH"), "LEAK=" + ts.Getenv("LEAK"), "TOKEN=" + ts.Getenv("TOKEN")},
	})
	if now := ts.Getenv("NOW"); now != "" {
		at, err := time.Parse(time.RFC3339Nano, now)
		ts.Check(err)
		p.now = func() time.Time { return at }
	}
	code := p.run(context.Background(), args, []*cobra.Command{upCommand()})
	ts.Setenv("CODE", strconv.Itoa(code))
	if neg == (code == 0) {
		ts.Fatalf("exit code %d", code)
	}
}

// upCommand stands for a command that main adds.
func upCommand() *cobra.Command {
	c := &cobra.Command{Use: "up", Short: "Run everything on this machine", Args: cobra.NoArgs}
	fail := c.Flags().StringP("config", "c", "", "a Caddyfile") // Caddy's commands have it too
	c.Flags().StringP("output-dir", "o", "", "as caddy manpage has it")
	c.RunE = func(*cobra.Command, []string) error {
		if *fail == "code" {
			return codedError(42)
		}
		return errors.New("listen on 127.0.0.1:8080: address already in use")
	}
	return c
}

type codedError int

func (e codedError) Error() string { return "it has a code of its own" }
func (e codedError) ExitCode() int { return int(e) }

// syncBuffer is an output that a test reads while a command writes it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start runs a command against a fake until the returned function interrupts it,
// does what comes next, and tells its exit code.
func start(t *testing.T, f *fakeAPI, tty bool, args ...string) (out, stderr *syncBuffer, stop func(then ...func()) int) {
	t.Helper()
	return startWith(t, f, func(p *program) { p.OutTTY = tty }, args...)
}

// startWith is start of a program that edit has changed.
func startWith(t *testing.T, api http.Handler, edit func(*program), args ...string) (out, stderr *syncBuffer, stop func(then ...func()) int) {
	t.Helper()
	s := httptest.NewServer(api)
	t.Cleanup(s.Close)
	env := map[string]string{"SLIPWAY_ENDPOINT": s.URL, "SLIPWAY_TOKEN": "slw_admin"}
	out, stderr = &syncBuffer{}, &syncBuffer{}
	p := testProgram(IO{Out: out, Err: stderr, Env: func(k string) string { return env[k] }, Dir: t.TempDir()})
	edit(p)
	ctx, cancel := context.WithCancelCause(t.Context()) // signal.NotifyContext gives a cause too
	code := make(chan int, 1)
	go func() { code <- p.run(ctx, args, nil) }()
	return out, stderr, func(then ...func()) int {
		cancel(errors.New("interrupt signal received"))
		for _, next := range then {
			next()
		}
		return <-code
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}

func TestWatchReprintsOnChange(t *testing.T) {
	f := newFakeAPI()
	out, stderr, stop := start(t, f, false, "app", "list", "--watch", "-o", "name")
	eventually(t, "the first list", func() bool { return strings.Count(out.String(), "\n") == 4 })
	time.Sleep(20 * time.Millisecond) // several looks that find no change
	f.mu.Lock()
	f.apps = f.apps[:1]
	f.mu.Unlock()
	want := "app/" + f.apps[0].ID + "\n"
	eventually(t, "the second list", func() bool { return strings.HasSuffix(out.String(), "\n\n"+want) })
	// The fake's pages are not of one revision: one list between the two may
	// hold what its first page had before.
	if n := strings.Count(out.String(), "\n"); n != 6 && n != 9 {
		t.Errorf("%d lines: %s", n, out)
	}
	if code := stop(); code != ExitInterrupted || stderr.String() != "error: interrupted\n" {
		t.Errorf("code %d, %s", code, stderr)
	}
}

func TestWatchClearsATerminal(t *testing.T) {
	f := newFakeAPI()
	f.addInstance(f.apps[0], "PRIVATE")
	out, _, stop := start(t, f, true, "instance", "get", f.instances[0].ID, "-w")
	eventually(t, "the end of the start", func() bool { return strings.Contains(out.String(), "DEPLOYED") })
	stop()
	if n := strings.Count(out.String(), "\x1b[H\x1b[2J"); n != 3 {
		t.Errorf("printed %d times: %q", n, out)
	}
}

func TestInterruptedWait(t *testing.T) {
	f := newFakeAPI()
	out, stderr, stop := start(t, f, false, "app", "run", f.apps[3].ID, "--wait")
	eventually(t, "the stage", func() bool { return strings.Contains(stderr.String(), "PENDING (queued)") })
	if code := stop(); code != ExitInterrupted || !strings.HasPrefix(out.String(), "ID  2efe9e01") {
		t.Errorf("code %d, %s %s", code, out, stderr)
	}
}

func TestInterruptedLogs(t *testing.T) {
	f := newFakeAPI()
	id := f.addInstance(f.apps[0], "PRIVATE").ID
	f.mux = http.NewServeMux()
	f.mux.HandleFunc("GET /api/v1/instances/"+id+"/logs", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "line\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	out, stderr, stop := start(t, f, true, "instance", "logs", id, "-f")
	eventually(t, "the line", func() bool { return out.String() == "line\n" })
	if code := stop(); code != ExitInterrupted || stderr.String() != "error: interrupted\n" {
		t.Errorf("code %d, %s", code, stderr)
	}
}

func TestAWaitOutlivesARestartOfTheControlPlane(t *testing.T) {
	f := newFakeAPI()
	_, stderr, stop := start(t, f, false, "app", "run", f.apps[3].ID, "--wait")
	eventually(t, "the stage", func() bool { return strings.Contains(stderr.String(), "PENDING (queued)") })
	f.mu.Lock()
	f.down, f.instances[0].AppName = patience, "ai.h2o.demo"
	f.mu.Unlock()
	eventually(t, "the last edge", func() bool { return strings.Contains(stderr.String(), "\non ") })
	if code := stop(); code != ExitDone {
		t.Errorf("code %d, %s", code, stderr)
	}
}

func TestRunWithoutAWorld(t *testing.T) {
	if code := Run(t.Context(), nil, IO{}); code != ExitDone {
		t.Error(code)
	}
}
