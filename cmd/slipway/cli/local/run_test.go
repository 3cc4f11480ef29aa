package local

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
)

// This test binary is an app too: one that listens where LISTEN_AT says.
func TestMain(m *testing.M) {
	if at := os.Getenv("LISTEN_AT"); at != "" {
		l, err := net.Listen("tcp", at)
		if err != nil {
			panic(err)
		}
		fmt.Println("listening on", l.Addr())
		time.Sleep(time.Minute)
		return
	}
	os.Exit(m.Run())
}

// binary is a bundle whose AppEntryPoint is a file with that content.
func binary(t *testing.T, content, more string) *bundle.Bundle {
	t.Helper()
	dir := t.TempDir()
	manifest := "[App]\nName = \"app\"\nVersion = \"1.0.0\"\n[Runtime]\nAppMode = \"binary\"\nAppEntryPoint = [\"./run\"]\n" + more
	for name, data := range map[string]string{"app.toml": manifest, "run": content} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o700); err != nil { //nolint:gosec // one is a program
			t.Fatal(err)
		}
	}
	var archive bytes.Buffer
	if _, err := bundle.Pack(t.Context(), dir, &archive, bundle.PackOptions{}); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(bytes.NewReader(archive.Bytes()), int64(archive.Len()), bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// config runs a bundle on a free port and passes on each line that is said.
func config(t *testing.T, b *bundle.Bundle) (Config, <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	lines := make(chan string, 100)
	say := func(format string, args ...any) { lines <- fmt.Sprintf(format, args...) }
	return Config{
		Bundle: b, Port: port, Environ: os.Environ(), Cache: t.TempDir(), Out: t.Output(), Err: t.Output(), Say: say, Warn: say,
		Hurry: func() (<-chan os.Signal, func()) { return nil, func() {} },
	}, lines
}

// written passes on when something is written for the first time.
type written chan time.Time

func (w written) Write(b []byte) (int, error) {
	select {
	case w <- time.Now():
	default:
	}
	return len(b), nil
}

func TestAnAppThatDoesNotAnswerIsToldOf(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := "nothing listens on port %d, which the app finds in PORT; it listens on 127.0.0.1:"
	if runtime.GOOS != "linux" {
		elsewhere = "nothing listens on port %d, which the app finds in PORT"
	}
	for _, tc := range []struct{ name, content, more, want string }{
		{"silent", "#!/bin/sh\necho up\nexec sleep 60\n", "", "nothing listens on port %d, which the app finds in PORT"},
		{"elsewhere", string(program), "[[Env]]\nName = \"LISTEN_AT\"\nValue = \"127.0.0.1:0\"\n", elsewhere},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, lines := config(t, binary(t, tc.content, tc.more))
			printed := make(written, 1)
			c.Out, c.Impatient = printed, printed
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			over := make(chan error, 1)
			go func() { over <- Run(ctx, c) }()
			select {
			case got := <-lines:
				if want := fmt.Sprintf(tc.want, c.Port); !strings.HasPrefix(got, want) {
					t.Errorf("%q, want %q", got, want)
				}
			case err := <-over:
				t.Fatal(err)
			case <-time.After(time.Minute):
				t.Fatal("nothing is said")
			}
			cancel()
			<-over
		})
	}
}

func TestAnAppThatEndsIsToldOf(t *testing.T) {
	c, lines := config(t, binary(t, "#!/bin/sh\n", ""))
	if err := Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := <-lines; !strings.HasPrefix(got, "the app ended, and nothing had answered at http://localhost:") {
		t.Error(got)
	}
}

func TestAProgramThatCannotBeRun(t *testing.T) {
	c, _ := config(t, binary(t, "#!/no/such/program\n", ""))
	err := Run(t.Context(), c)
	if controlplane.CodeOf(err) != controlplane.CodeInvalid || !strings.Contains(err.Error(), "its first line names /no/such/program, which is not there") {
		t.Error(err)
	}
}
