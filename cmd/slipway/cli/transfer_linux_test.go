package cli

import (
	"os"
	"strings"
	"testing"
)

// screen is what a terminal was given up to now.
func screen(t *testing.T, terminal, keyboard *os.File) string {
	t.Helper()
	if _, err := terminal.WriteString("END"); err != nil {
		t.Fatal(err)
	}
	shown := ""
	for buffer := make([]byte, 4096); !strings.Contains(shown, "END"); {
		n, err := keyboard.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		shown += string(buffer[:n])
	}
	return shown
}

// TestBarsOnATerminal has a bar for packing and one for the upload; both are
// taken away, and none comes where the terminal is dumb or there is none.
func TestBarsOnATerminal(t *testing.T) {
	for _, dumb := range []bool{false, true} {
		terminal, keyboard := openTerminal(t)
		f := newFakeAPI()
		out, _, stop := startWith(t, f, func(p *program) {
			env := p.Env
			p.Err, p.ErrTTY = terminal, true
			p.Env = func(name string) string {
				if name == "TERM" && dumb {
					return "dumb"
				}
				return env(name)
			}
		}, "bundle", "import", tried(t, "ai.h2o.tried", 1<<20))
		eventually(t, "the app", func() bool {
			return strings.Contains(out.String(), "ai.h2o.tried") || strings.Contains(out.String(), "Tried")
		})
		if code := stop(); code != ExitDone {
			t.Errorf("code %d", code)
		}
		shown := screen(t, terminal, keyboard)
		for _, word := range []string{"packing ", "uploading ", "%", "\x1b[2K"} {
			if strings.Contains(shown, word) == dumb && word != "uploading " {
				t.Errorf("dumb %t: %q in %q", dumb, word, shown)
			}
		}
		if dumb && !strings.HasPrefix(shown, "uploading 1.0 MiB\r\n") {
			t.Errorf("%q", shown)
		}
	}
}
