package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal is a terminal, and the end of it where somebody types.
func openTerminal(t *testing.T) (terminal, keyboard *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	t.Cleanup(func() { keyboard.Close() })
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	t.Cleanup(func() { terminal.Close() })
	return terminal, keyboard
}

func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

func TestATypedTokenIsNotShown(t *testing.T) {
	terminal, keyboard := openTerminal(t)
	stderr := &syncBuffer{}
	p, endpoint, file := loginProgram(t, newFakeAPI(), IO{In: terminal, Err: stderr, OutTTY: true, ErrTTY: true})
	code := make(chan int, 1)
	go func() { code <- p.run(t.Context(), []string{"login", "--token", endpoint}, nil) }()
	eventually(t, "the terminal does not echo", func() bool { return !echoes(t, terminal) })
	if _, err := keyboard.WriteString("slw_user\n"); err != nil {
		t.Fatal(err)
	}
	if got := <-code; got != ExitDone || strings.Contains(stderr.String(), "slw_user") {
		t.Errorf("code %d, %s", got, stderr)
	}
	if !echoes(t, terminal) {
		t.Error("the terminal stays without echo")
	}
	if c, err := ReadContext(file); err != nil || c.Token != "slw_user" {
		t.Errorf("%v (%v)", c, err)
	}
	if _, err := terminal.WriteString("END"); err != nil {
		t.Fatal(err)
	}
	shown := ""
	for buffer := make([]byte, 100); !strings.Contains(shown, "END"); {
		n, err := keyboard.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		shown += string(buffer[:n])
	}
	if strings.Contains(shown, "slw") {
		t.Errorf("the terminal shows %q", shown)
	}
}

func TestAnInterruptGivesTheEchoBack(t *testing.T) {
	terminal, _ := openTerminal(t)
	stderr := &syncBuffer{}
	p, endpoint, file := loginProgram(t, newFakeAPI(), IO{In: terminal, Err: stderr, OutTTY: true, ErrTTY: true})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	code := make(chan int, 1)
	go func() { code <- p.run(ctx, []string{"login", "--token", endpoint}, nil) }()
	eventually(t, "the terminal does not echo", func() bool { return !echoes(t, terminal) })
	cancel()
	if got := <-code; got != ExitInterrupted {
		t.Errorf("code %d, %s", got, stderr)
	}
	if !echoes(t, terminal) {
		t.Error("the terminal stays without echo")
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("something was saved: %v", err)
	}
}
