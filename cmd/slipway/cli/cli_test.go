package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
//
// and the variables TTY=1 makes stdout and stderr a terminal, STDIN is typed.
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
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"slipway": runSlipway,
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

func runSlipway(ts *testscript.TestScript, neg bool, args []string) {
	tty := ts.Getenv("TTY") != ""
	p := testProgram(IO{
		In: strings.NewReader(ts.Getenv("STDIN")), Out: ts.Stdout(), Err: ts.Stderr(),
		OutTTY: tty, ErrTTY: tty, Env: ts.Getenv, Dir: ts.MkAbs("."),
	})
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

// start runs a command against a fake until the returned function cancels it
// and tells its exit code.
func start(t *testing.T, f *fakeAPI, tty bool, args ...string) (out, stderr *syncBuffer, stop func() int) {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	env := map[string]string{"SLIPWAY_ENDPOINT": s.URL, "SLIPWAY_TOKEN": "slw_admin"}
	out, stderr = &syncBuffer{}, &syncBuffer{}
	p := testProgram(IO{Out: out, Err: stderr, OutTTY: tty, Env: func(k string) string { return env[k] }, Dir: t.TempDir()})
	ctx, cancel := context.WithCancelCause(t.Context()) // signal.NotifyContext gives a cause too
	code := make(chan int, 1)
	go func() { code <- p.run(ctx, args, nil) }()
	return out, stderr, func() int { cancel(errors.New("interrupt signal received")); return <-code }
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
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

func TestWriteContext(t *testing.T) {
	path := t.TempDir() + "/new/cli.toml"
	if _, err := ReadContext(path); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := WriteContext(path, "http://localhost:8080", "slw_a"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if c, err := ReadContext(path); err != nil || c != (Context{Endpoint: "http://localhost:8080", Token: "slw_a"}) {
		t.Error(c, err)
	}
	other := "current = \"far\"\n[contexts.far]\nendpoint = \"https://far\"\ntoken = \"t\"\n"
	if err := os.WriteFile(path, []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteContext(path, "http://localhost:9090", "slw_b"); err != nil {
		t.Fatal(err)
	}
	f, err := readFile(path)
	if err != nil || f.Current != "local" || f.Contexts["far"].Endpoint != "https://far" || f.Contexts["local"].Token != "slw_b" {
		t.Error(f, err)
	}
	use := func(f *contextFile) error { f.Current = "far"; return nil }
	if err := editContexts(path, use); err != nil {
		t.Fatal(err)
	}
	if c, err := ReadLocalContext(path); err != nil || c.Token != "slw_b" {
		t.Error(c, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if files, _ := os.ReadDir(t.TempDir()); len(files) > 0 {
		t.Error(files)
	}
}

func TestAConfigurationThatMayNotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cli.toml")
	if err := os.WriteFile(path, nil, 0o000); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Open(path); err == nil {
		t.Skip("this user may read everything")
	}
	if _, err := ReadContext(path); exitCode(t.Context(), err) != ExitUsage || !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
}

func TestLogWriter(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"text", "a\tb ü\n", "a\tb ü\n"},
		{"colours", "\x1b[1;32mgo\x1b[m", "\x1b[1;32mgo\x1b[m"},
		{"screen", "\x1b[2Jx\x1b]0;t\ay", "\ufffd[2Jx\ufffd]0;t\ufffdy"},
		{"carriage returns", "a\r\nb\rc", "a\nb\nc"},
		{"C1", "\u009b31m", "\ufffd31m"},
		{"not UTF-8", "\xff\xfe", "\ufffd\ufffd"},
		{"a long number", "\x1b[" + strings.Repeat("1", 100) + "m", "\ufffd[" + strings.Repeat("1", 100) + "m"},
		{"unfinished", "a\x1b[3", "a\ufffd[3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for step := 1; step <= len(tt.in); step++ {
				var out bytes.Buffer
				w := &logWriter{w: &out, color: true}
				for b := []byte(tt.in); len(b) > 0; b = b[min(step, len(b)):] {
					if n, err := w.Write(b[:min(step, len(b))]); err != nil || n != min(step, len(b)) {
						t.Fatal(n, err)
					}
				}
				w.Close()
				if got := strings.TrimSuffix(out.String(), colorReset); got != tt.want {
					t.Fatalf("in steps of %d: %q, want %q", step, got, tt.want)
				}
			}
		})
	}
}

const colorReset = "\x1b[0m"

func TestRunWithoutAWorld(t *testing.T) {
	if code := Run(t.Context(), nil, IO{}); code != ExitDone {
		t.Error(code)
	}
}
