package cli

import (
	"crypto/rand"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// tried is the folder of an app for tests; its files are at least that long.
func tried(t *testing.T, name string, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	manifest := "[App]\nName = \"" + name + "\"\nVersion = \"1.0.0\"\nTitle = \"Tried\"\n[Runtime]\nAppMode = \"python\"\nModule = \"app\"\n"
	noise := make([]byte, bytes)
	rand.Read(noise)
	for file, data := range map[string][]byte{"app.toml": []byte(manifest), "app.py": nil, "noise": noise} {
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// followed is the fake API with logs that go on, and a way around it.
func followed(f *fakeAPI, around func(w http.ResponseWriter, r *http.Request, next http.Handler)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/logs") {
			io.WriteString(w, "a line\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		if around != nil {
			around(w, r, f)
			return
		}
		f.ServeHTTP(w, r)
	})
}

func plain(*program) {}

// isClean holds that nothing is left but what the fake began with.
func isClean(t *testing.T, f *fakeAPI) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.apps) != 4 || len(f.instances) != 0 {
		t.Errorf("%d apps and %d instances are there", len(f.apps), len(f.instances))
	}
}

func wants(t *testing.T, stderr *syncBuffer, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(stderr.String(), w) {
			t.Errorf("it does not say %q:\n%s", w, stderr)
		}
	}
}

func TestTryIsTakenAwayAfterCtrlC(t *testing.T) {
	f := newFakeAPI()
	out, stderr, stop := startWith(t, followed(f, nil), plain, "bundle", "test", tried(t, "ai.h2o.tried", 0))
	eventually(t, "the URL", func() bool { return strings.Contains(stderr.String(), "\nURL  http://2efe9e01") })
	eventually(t, "the log", func() bool { return out.String() == "a line\n" })
	if code := stop(); code != ExitInterrupted {
		t.Errorf("code %d", code)
	}
	wants(t, stderr, "took app Tried 1.0.0-20260120040405 away again\n", "error: interrupted\n")
	isClean(t, f)
}

func TestTryThatDoesNotStartIsTakenAway(t *testing.T) {
	f := newFakeAPI()
	f.lastLines = "; its last lines are in `slipway instance logs 2efe9e01`" // as the launcher process says it
	out, stderr, stop := startWith(t, followed(f, nil), plain, "bundle", "test", tried(t, "ai.h2o.crash", 0))
	eventually(t, "the end", func() bool { return strings.Contains(stderr.String(), "error: ") })
	if code := stop(); code != ExitFailed || out.String() != "a line\n" || strings.Contains(stderr.String(), "hint: ") {
		t.Errorf("code %d: %s%s", code, out, stderr)
	}
	wants(t, stderr, "failed: port_never_opened", "; its last lines are printed already\n", "took app Tried")
	isClean(t, f)
}

func TestTryThatIsInterruptedWhileItIsSent(t *testing.T) {
	f := newFakeAPI()
	begun, interrupted := make(chan struct{}), make(chan struct{})
	api := followed(f, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path == "/api/v1/bundles" {
			io.CopyN(io.Discard, r.Body, 1000)
			close(begun)
			<-interrupted // until then it reads no further
			if _, err := io.Copy(io.Discard, r.Body); err == nil {
				t.Error("the whole bundle came")
			}
			return
		}
		next.ServeHTTP(w, r)
	})
	_, stderr, stop := startWith(t, api, plain, "bundle", "test", tried(t, "ai.h2o.tried", 16<<20))
	<-begun
	if code := stop(); code != ExitInterrupted || strings.Contains(stderr.String(), "away") {
		t.Errorf("code %d: %s", code, stderr)
	}
	close(interrupted)
	isClean(t, f)
}

// TestTryThatIsInterruptedBeforeTheAnswer has the server make the app of a
// bundle that it has whole, whatever the client does.
func TestTryThatIsInterruptedBeforeTheAnswer(t *testing.T) {
	f := newFakeAPI()
	whole, interrupted := make(chan struct{}), make(chan struct{})
	api := followed(f, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path == "/api/v1/bundles" {
			data, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(data)))
			close(whole)
			<-interrupted
		}
		next.ServeHTTP(w, r)
	})
	for _, command := range []string{"test", "import"} {
		t.Run(command, func(t *testing.T) {
			whole, interrupted = make(chan struct{}), make(chan struct{})
			_, stderr, stop := startWith(t, api, plain, "bundle", command, tried(t, "ai.h2o.tried", 0))
			<-whole
			if code := stop(func() { close(interrupted) }); code != ExitInterrupted {
				t.Errorf("code %d", code)
			}
			if command == "import" {
				wants(t, stderr, "it was imported all the same; to take it away: slipway app delete 3f2a9c05")
				return
			}
			wants(t, stderr, "took app Tried 1.0.0-20260120040405 away again\n")
			isClean(t, f)
		})
	}
}

func TestTryWhoseAnswerIsLost(t *testing.T) {
	f := newFakeAPI()
	api := followed(f, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path == "/api/v1/bundles" {
			next.ServeHTTP(nowhere{http.Header{}}, r)
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
	_, stderr, stop := startWith(t, api, plain, "bundle", "test", tried(t, "ai.h2o.tried", 0))
	eventually(t, "the end", func() bool { return strings.Contains(stderr.String(), "error: ") })
	if code := stop(); code != ExitUnavailable {
		t.Errorf("code %d", code)
	}
	wants(t, stderr, "took app Tried 1.0.0-20260120040405 away again\n")
	isClean(t, f)
}

// nowhere is the answer to a client that is gone.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) WriteHeader(int)             {}

func TestTryOutlivesARestartOfTheServerWhileItIsTakenAway(t *testing.T) {
	f := newFakeAPI()
	var away atomic.Int32
	api := followed(f, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if away.Add(-1) < 0 {
			next.ServeHTTP(w, r)
			return
		}
		// What an edge says that knows of no control plane.
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, `{"status":503,"code":"no_control_plane","detail":"No control plane answers here."}`)
	})
	_, stderr, stop := startWith(t, api, plain, "bundle", "test", tried(t, "ai.h2o.tried", 0))
	eventually(t, "the URL", func() bool { return strings.Contains(stderr.String(), "\nURL  http://2efe9e01") })
	f.mu.Lock()
	f.down = 10
	f.mu.Unlock()
	away.Store(10)
	if code := stop(); code != ExitInterrupted {
		t.Errorf("code %d: %s", code, stderr)
	}
	isClean(t, f)
}

func TestTryThatCannotBeTakenAwaySaysHow(t *testing.T) {
	tests := []struct {
		name, app string
		down      int
		want      string
	}{
		{"an instance that does not end", "ai.h2o.slow", 0, "stays: app Tried 1.0.0-20260120040405 has an instance; to take it away:\n"},
		{"a server that does not answer", "ai.h2o.tried", 1 << 30, "stays: the store does not answer; to take it away:\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeAPI()
			signals := make(chan os.Signal, 1)
			var looks atomic.Int32 // each attempt begins with one
			api := followed(f, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method == http.MethodGet && r.URL.Path == "/api/v1/instances" {
					looks.Add(1)
				}
				next.ServeHTTP(w, r)
			})
			_, stderr, stop := startWith(t, api, func(p *program) {
				p.interrupts = func() (<-chan os.Signal, func()) { return signals, func() {} }
			}, "bundle", "test", tried(t, tt.app, 0))
			eventually(t, "the start", func() bool {
				return strings.Contains(stderr.String(), "PENDING (dep") || strings.Contains(stderr.String(), "(queued)")
			})
			f.mu.Lock()
			f.down = tt.down
			f.mu.Unlock()
			code := make(chan int, 1)
			go func() { code <- stop() }()
			signals <- os.Interrupt
			eventually(t, "the warning", func() bool { return strings.Contains(stderr.String(), "Ctrl-C once more gives that up") })
			eventually(t, "several attempts", func() bool { return looks.Load() > 3 })
			signals <- os.Interrupt
			if got := <-code; got != ExitInterrupted {
				t.Errorf("code %d", got)
			}
			wants(t, stderr, "warning: app Tried 1.0.0-20260120040405 "+tt.want+
				"  slipway instance terminate 2efe9e01-2bdd-4d02-9be6-f73a196d663d --wait\n  slipway app delete 3f2a9c05-0000-4000-8000-000000000000\n")
		})
	}
}

// held is an output that waits when it is first written to.
type held struct {
	io.Writer
	once         sync.Once
	begun, until chan struct{}
}

func (h *held) Write(b []byte) (int, error) {
	h.once.Do(func() { close(h.begun); <-h.until })
	return h.Writer.Write(b)
}

func TestPackingThatIsEndedLeavesNothing(t *testing.T) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"Ctrl-C", "a kill"} {
		t.Run(how, func(t *testing.T) {
			temporary := t.TempDir()
			t.Setenv("TMPDIR", temporary)
			dir := tried(t, "ai.h2o.tried", 64<<20)
			bar := &held{begun: make(chan struct{}), until: make(chan struct{})}
			_, stderr, stop := startWith(t, newFakeAPI(), func(p *program) {
				bar.Writer = p.Err
				p.Dir, p.Err, p.ErrTTY = dir, bar, true
			}, "bundle")
			<-bar.begun
			goOn := func() { close(bar.until) }
			if how == "a kill" {
				came := make(chan os.Signal, 1)
				signal.Notify(came, syscall.SIGTERM)
				defer signal.Stop(came)
				if err := self.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				<-came
				goOn()
				eventually(t, "the end", func() bool { return strings.HasSuffix(stderr.String(), "\n") })
				goOn = func() {}
			}
			code := stop(goOn)
			if code != ExitInterrupted || !strings.HasSuffix(stderr.String(), "error: interrupted\n") {
				t.Errorf("code %d, %s", code, stderr)
			}
			for folder, files := range map[string]int{dir: 3, temporary: 0} {
				if list, err := os.ReadDir(folder); err != nil || len(list) != files {
					t.Errorf("%v, %v", list, err)
				}
			}
		})
	}
}
