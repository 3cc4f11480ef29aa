//go:build linux

package identity

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
	"github.com/seed-dbc68772/slipway/routing"
)

// This binary is also the programs that listen: its arguments after "program"
// say how, one line on stdout that it does.
func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "program" {
		run(os.Args[2], os.Args[3], os.Args[4:])
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// run serves its own number over HTTP, in one of these ways:
//
//	serve      by itself
//	share      by itself, with SO_REUSEPORT
//	worker     by a child that has its listener
//	daemon     by a child that has its listener, in a session of its own
//	inherited  by the listener that its parent opened
//	reopen     again and again: closed and opened anew at each SIGHUP
//	check      not at all: it checks who answers there, for the identity given
func run(how, address string, more []string) {
	switch how {
	case "serve", "reopen":
		l := listenAt(address, false)
		for how == "reopen" {
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			go serveNumber(l)
			<-hup
			l.Close()
			l = listenAt(address, false)
		}
		serveNumber(l)
	case "share":
		serveNumber(listenAt(address, true))
	case "worker", "daemon":
		f, err := listenAt(address, false).(*net.TCPListener).File()
		must(err)
		child := exec.Command(os.Args[0], "program", "inherited", address)
		child.Stdout, child.ExtraFiles = os.Stdout, []*os.File{f}
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: how == "daemon", Pdeathsig: syscall.SIGKILL}
		must(child.Start())
		// The child alone has the listener now.
		f.Close()
		must(syscall.Close(listenerFD))
		must(child.Wait())
	case "inherited":
		l, err := net.FileListener(os.NewFile(3, "listener"))
		must(err)
		serveNumber(l)
	case "check":
		conn, began, err := dial(address)
		must(err)
		err = New(zap.NewNop()).Check(conn, began, &routing.Instance{Identity: more[0]})
		fmt.Println("checked:", err)
	}
}

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// listenerFD is the number of the listener that listenAt opened last.
var listenerFD int

func listenAt(address string, share bool) net.Listener {
	network := "tcp" // of both kinds, without a host
	switch {
	case strings.HasPrefix(address, "0.0.0.0"):
		network = "tcp4"
	case strings.HasPrefix(address, "["):
		network = "tcp6"
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		c.Control(func(fd uintptr) {
			listenerFD = int(fd)
			if share {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			}
		})
		return err
	}}
	l, err := config.Listen(context.Background(), network, address)
	must(err)
	return l
}

func serveNumber(l net.Listener) {
	fmt.Println("listening")
	http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) }))
}

// program is one that listens, the leader of a group of its own.
type program struct {
	*exec.Cmd
	identity procgroup.Identity
	lines    *bufio.Scanner
}

const mark = "folder/instance/1/nonce"

func start(t testing.TB, how, address string, env ...string) *program {
	t.Helper()
	p := &program{Cmd: exec.Command(os.Args[0], "program", how, address)}
	p.Env = slices.Concat(os.Environ(), env)
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	stat, err := procgroup.ReadProc(p.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	p.identity = procgroup.Identity{
		Boot: thisBoot(), PID: stat.PID, Start: stat.Start, Mark: procgroup.Digest(mark),
	}
	p.lines = bufio.NewScanner(out)
	p.awaitListening(t)
	return p
}

func (p *program) awaitListening(t testing.TB) {
	t.Helper()
	if !p.lines.Scan() || p.lines.Text() != "listening" {
		t.Fatalf("the program does not listen: %q", p.lines.Text())
	}
}

// kill ends the whole session, and returns when its ports are free.
func (p *program) kill() {
	syscall.Kill(-p.Process.Pid, syscall.SIGKILL)
	p.Wait()
}

func (p *program) instance() *routing.Instance {
	return &routing.Instance{Generation: 1, Identity: p.identity.String()}
}

func dial(address string) (net.Conn, time.Time, error) {
	began := time.Now()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	return conn, began, err
}

// ask dials and checks, and closes.
func ask(t testing.TB, c *Checker, address string, in *routing.Instance) error {
	t.Helper()
	conn, began, err := dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return c.Check(conn, began, in)
}

func newChecker(t testing.TB) *Checker {
	c := New(zap.NewNop())
	t.Cleanup(c.Close)
	return c
}

// freePort is one that nobody has on any address, outside the range that
// connections take theirs from.
func freePort(t testing.TB) int {
	t.Helper()
	for port := 20000 + os.Getpid()%9000; port < 32000; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			continue
		}
		l.Close()
		if !taken[port] {
			taken[port] = true
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

var taken = map[int]bool{}
