//go:build linux

package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
	"github.com/seed-dbc68772/slipway/routing"
)

func TestTheInstanceIsFound(t *testing.T) {
	for _, c := range []struct{ name, how, listens, dialled, env string }{
		{name: "IPv4", how: "serve", listens: "127.0.0.1:%d", dialled: "127.0.0.1:%d"},
		{name: "IPv6", how: "serve", listens: "[::1]:%d", dialled: "[::1]:%d"},
		{name: "all of IPv4", how: "serve", listens: "0.0.0.0:%d", dialled: "127.0.0.1:%d"},
		{name: "all of both, by IPv4", how: "serve", listens: ":%d", dialled: "127.0.0.1:%d"},
		{name: "all of both, by IPv6", how: "serve", listens: ":%d", dialled: "[::1]:%d"},
		{name: "a shareable address", how: "share", listens: "127.0.0.1:%d", dialled: "127.0.0.1:%d"},
		{name: "a worker", how: "worker", listens: "127.0.0.1:%d", dialled: "127.0.0.1:%d"},
		{name: "a child that left the session", how: "daemon", listens: "127.0.0.1:%d", dialled: "127.0.0.1:%d"},
		{name: "a child that left the session, by its mark", how: "daemon", listens: "127.0.0.1:%d", dialled: "127.0.0.1:%d", env: mark},
	} {
		t.Run(c.name, func(t *testing.T) {
			port := freePort(t)
			own := start(t, c.how, fmt.Sprintf(c.listens, port), procgroup.MarkerName+"="+c.env)
			checker := newChecker(t)
			for n := range 20 {
				if err := ask(t, checker, fmt.Sprintf(c.dialled, port), own.instance()); err != nil {
					t.Fatalf("connection %d: %v", n, err)
				}
			}
			if checker.Refused() != 0 {
				t.Errorf("%d were refused", checker.Refused())
			}
		})
	}
}

func TestOthersAreRefused(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	own := start(t, "serve", address)
	other := start(t, "serve", fmt.Sprintf("127.0.0.1:%d", freePort(t)))
	for _, c := range []struct {
		name   string
		change func(*procgroup.Identity)
		want   string
	}{
		{"another group", func(i *procgroup.Identity) { *i = other.identity }, "is not the instance's"},
		{"a group that is gone", func(i *procgroup.Identity) { i.PID = 1 << 22 }, "is not the instance's"},
		{"a number that is used again", func(i *procgroup.Identity) { i.Start-- }, "is not the instance's"},
		{"a leader that came later", func(i *procgroup.Identity) { i.Start++ }, "is not the instance's"},
		{"another boot", func(i *procgroup.Identity) { i.Boot = procgroup.Digest("before") }, "another machine"},
		{"an older socket", func(i *procgroup.Identity) { *i = other.identity; i.Sockets = []uint64{1} }, "is not the instance's"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checker, id := newChecker(t), own.identity
			c.change(&id)
			for range 3 {
				err := ask(t, checker, address, &routing.Instance{Identity: id.String()})
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
			}
			if checker.Refused() != 3 {
				t.Errorf("%d refused, want 3", checker.Refused())
			}
		})
	}
	t.Run("no identity at all", func(t *testing.T) {
		if err := ask(t, newChecker(t), address, &routing.Instance{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("an identity of another kind", func(t *testing.T) {
		if err := ask(t, newChecker(t), address, &routing.Instance{Identity: "pod:x"}); err == nil {
			t.Error("it was taken")
		}
	})
}

// The port goes from one program to the other and back while requests run:
// each generation of the instance is asked for by its own identity, and 10,000
// requests get no answer but its own.
func TestNoStrangerEverAnswers(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	checker := newChecker(t)
	var mu sync.Mutex
	var in *routing.Instance
	var number string
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			conn, began, err := dial(address)
			if err != nil {
				return nil, err
			}
			mu.Lock()
			now := in
			mu.Unlock()
			if err := checker.Check(conn, began, now); err != nil {
				conn.Close()
				return nil, err
			}
			return conn, nil
		},
	}}
	answers := map[string]int{} // "own", "stranger", "none"
	var busy sync.WaitGroup
	requests := func(n int) {
		for range 2 {
			busy.Go(func() {
				for range n / 2 {
					resp, err := client.Get("http://" + address)
					who := "none"
					if err == nil {
						body, _ := io.ReadAll(resp.Body)
						resp.Body.Close()
						mu.Lock()
						if who = "stranger"; string(body) == number {
							who = "own"
						}
						mu.Unlock()
					}
					mu.Lock()
					answers[who]++
					mu.Unlock()
				}
			})
		}
	}
	answered := func() int {
		mu.Lock()
		defer mu.Unlock()
		return answers["own"]
	}
	const rounds, each = 5, 2000
	for range rounds {
		own := start(t, "serve", address)
		mu.Lock()
		in, number = own.instance(), fmt.Sprint(own.Process.Pid)
		mu.Unlock()
		if err := ask(t, checker, address, in); err != nil {
			t.Fatal(err)
		}
		began := answered()
		requests(each)
		for answered() < began+100 {
			time.Sleep(time.Millisecond)
		}
		own.kill() // the route goes on to name its port
		stranger := start(t, "serve", address)
		if err := ask(t, checker, address, in); err == nil {
			t.Error("the stranger was taken for the instance")
		}
		busy.Wait()
		stranger.kill()
	}
	t.Logf("answers: %v, refused: %d", answers, checker.Refused())
	if answers["own"]+answers["none"] != rounds*each || answers["stranger"] != 0 || checker.Refused() == 0 {
		t.Errorf("answers: %v, refused: %d", answers, checker.Refused())
	}
}

func TestAStrangerBesideTheInstance(t *testing.T) {
	for _, c := range []struct{ name, own, stranger string }{
		{"on the same address", "127.0.0.1:%d", "127.0.0.1:%d"},
		{"on a nearer address", "0.0.0.0:%d", "127.0.0.1:%d"},
		{"on all addresses", "127.0.0.1:%d", "0.0.0.0:%d"},
		{"on all addresses of both kinds", "127.0.0.1:%d", ":%d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Linux chooses between the two by their order, among others.
			besideAt(t, freePort(t), c.own, c.stranger, false)
			besideAt(t, freePort(t), c.own, c.stranger, true)
		})
	}
}

func besideAt(t *testing.T, port int, ownAt, strangerAt string, strangerFirst bool) {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	var own, stranger *program
	checker := newChecker(t)
	if strangerFirst {
		stranger = start(t, "share", fmt.Sprintf(strangerAt, port))
	}
	own = start(t, "share", fmt.Sprintf(ownAt, port))
	defer own.kill()
	if !strangerFirst {
		for range 5 {
			if err := ask(t, checker, address, own.instance()); err != nil {
				t.Fatal(err)
			}
		}
		stranger = start(t, "share", fmt.Sprintf(strangerAt, port))
	}
	for range 200 {
		if who := answerOf(t, checker, address, own.instance()); who == fmt.Sprint(stranger.Process.Pid) {
			t.Fatal("the stranger answered")
		}
	}
	stranger.kill()
	for n := range 5 {
		if err := ask(t, checker, address, own.instance()); err != nil {
			t.Fatalf("connection %d after the stranger's end: %v", n, err)
		}
	}
}

func TestWhetherAnAddressCanBeShared(t *testing.T) {
	for _, c := range []struct {
		how, listens string
		alone        bool
	}{
		{"serve", "127.0.0.1:%d", true},
		{"serve", "0.0.0.0:%d", true},
		{"serve", ":%d", true},
		{"share", "127.0.0.1:%d", false},
		{"share", "0.0.0.0:%d", false},
		{"share", ":%d", false},
	} {
		port := freePort(t)
		p := start(t, c.how, fmt.Sprintf(c.listens, port))
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
		found, err := new(procgroup.Diag).ListenersAt(at.Port())
		if err != nil || len(found) != 1 {
			t.Fatalf("%v, %v", found, err)
		}
		if got := unshared(found[0], at); got != c.alone {
			t.Errorf("%s at %s: alone is %v", c.how, c.listens, got)
		}
		found[0].User++
		if unshared(found[0], at) {
			t.Errorf("%s at %s: another user's sockets were tried with ours", c.how, c.listens)
		}
		p.kill()
	}
}

// answerOf is what a checked connection answers; "" if it was refused.
func answerOf(t *testing.T, c *Checker, address string, in *routing.Instance) string {
	conn, began, err := dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if c.Check(conn, began, in) != nil {
		return ""
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(all), "\r\n\r\n")
	return body
}

// IPv6 alone on all addresses takes no IPv4 connection, and is nobody's rival.
func TestAStrangerOnTheOtherKindOfAddress(t *testing.T) {
	port := freePort(t)
	own := start(t, "serve", fmt.Sprintf("127.0.0.1:%d", port))
	stranger := start(t, "serve", fmt.Sprintf("[::]:%d", port))
	checker := newChecker(t)
	for range 5 {
		if err := ask(t, checker, fmt.Sprintf("127.0.0.1:%d", port), own.instance()); err != nil {
			t.Error(err)
		}
		if err := ask(t, checker, fmt.Sprintf("[::1]:%d", port), own.instance()); err == nil {
			t.Error("the stranger was taken for the instance")
		}
		if err := ask(t, checker, fmt.Sprintf("[::1]:%d", port), stranger.instance()); err != nil {
			t.Error(err)
		}
	}
}

func TestAnAppMayListenAnew(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	own := start(t, "reopen", address)
	checker := newChecker(t)
	for n := range 5 {
		for range 3 {
			if err := ask(t, checker, address, own.instance()); err != nil {
				t.Fatalf("listener %d: %v", n, err)
			}
		}
		own.Process.Signal(syscall.SIGHUP)
		own.awaitListening(t)
	}
}

// A program that is stopped accepts nothing: its listener has to say whose the
// connection is.
func TestAConnectionThatNobodyHasAccepted(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	own := start(t, "serve", address)
	own.Process.Signal(syscall.SIGSTOP)
	if err := ask(t, newChecker(t), address, own.instance()); err != nil {
		t.Error(err)
	}
	in := own.instance()
	own.kill()
	start(t, "serve", address).Process.Signal(syscall.SIGSTOP)
	if err := ask(t, newChecker(t), address, in); err == nil {
		t.Error("the stranger was taken for the instance")
	}
}

// The stranger accepts, and makes way for the instance before the check: what
// listens is right, and who answers is not.
func TestAStrangerThatNoLongerListens(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn, began, err := dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	l.Close()
	own := start(t, "serve", address)
	checker := newChecker(t)
	for range 3 {
		if err := ask(t, checker, address, own.instance()); err != nil {
			t.Fatal(err)
		}
		if err := checker.Check(conn, began, own.instance()); err == nil {
			t.Error("the stranger was taken for the instance")
		}
	}
	accepted.Close()
	if err := checker.Check(conn, began, own.instance()); err == nil {
		t.Error("a connection that the stranger has closed was taken for the instance's")
	}
}

// The instance accepts, and listens no more: it is the one who answers.
func TestAnInstanceThatNoLongerListens(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	own := start(t, "reopen", address)
	conn, began, err := dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := io.ReadAtLeast(conn, make([]byte, 1000), 1); err != nil {
		t.Fatal(err)
	}
	own.Process.Signal(syscall.SIGHUP)
	own.awaitListening(t)
	if err := newChecker(t).Check(conn, began, own.instance()); err != nil {
		t.Error(err)
	}
}

// forbidden is netlink where it is.
type forbidden struct{}

var errForbidden = errors.New("forbidden")

func (forbidden) Find(_, _ netip.AddrPort) (procgroup.Socket, bool, error) {
	return procgroup.Socket{}, false, errForbidden
}
func (forbidden) ListenersAt(uint16) ([]procgroup.Socket, error) { return nil, errForbidden }
func (forbidden) Close()                                         {}

func TestWithoutNetlink(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	own := start(t, "serve", address)
	checker := newChecker(t)
	checker.system.diag = forbidden{}
	for range 5 {
		if err := ask(t, checker, address, own.instance()); err != nil {
			t.Error(err)
		}
	}
	own.Process.Signal(syscall.SIGSTOP)
	if err := ask(t, checker, address, own.instance()); err != nil {
		t.Error(err)
	}
	in := own.instance()
	own.kill()
	start(t, "serve", address)
	for range 5 {
		if err := ask(t, checker, address, in); err == nil {
			t.Error("the stranger was taken for the instance")
		}
	}
}

// An edge without rights knows the sockets that the launcher told of.
func TestAnEdgeOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	own := start(t, "serve", address)
	all, err := procgroup.Listeners(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	told := own.identity
	for _, l := range all {
		if l.Local.String() == address {
			told.Sockets = append(told.Sockets, l.Inode)
		}
	}
	dir, err := os.MkdirTemp("", "edge") // one that others can enter
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	content, err := os.ReadFile("/proc/self/exe")
	if err := errors.Join(err, os.Chmod(dir, 0o755), os.WriteFile(dir+"/edge", content, 0o755)); err != nil {
		t.Fatal(err)
	}
	check := func(i procgroup.Identity) string {
		cmd := exec.Command(dir+"/edge", "program", "check", address, i.String())
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if out := check(told); out != "checked: <nil>\n" {
		t.Errorf("with the socket told: %s", out)
	}
	if out := check(own.identity); !strings.Contains(out, "needs the instances' user, or root") {
		t.Errorf("without: %s", out)
	}
	own.kill()
	start(t, "serve", address)
	if out := check(told); strings.Contains(out, "<nil>") {
		t.Errorf("the stranger was taken for the instance: %s", out)
	}
}

func TestStrangersAreLoggedOnceInAWhile(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	own := start(t, "serve", address)
	core, lines := observer.New(zapcore.WarnLevel)
	checker := New(zap.New(core))
	t.Cleanup(checker.Close)
	in := own.instance()
	in.Identity = strings.Replace(in.Identity, fmt.Sprint(own.Process.Pid), "1", 1)
	for range 100 {
		if ask(t, checker, address, in) == nil {
			t.Fatal("it was taken")
		}
	}
	if n := lines.Len(); n != 1 {
		t.Fatalf("%d lines", n)
	}
	who := lines.All()[0].ContextMap()["who"]
	if want := fmt.Sprintf("process %d, ", own.Process.Pid); !strings.HasPrefix(fmt.Sprint(who), want) {
		t.Errorf("who is %v, want %s…", who, want)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var m memory
	m.keep("one", 1, holder{own: true})
	for n := range uint64(3 * maxKnown) {
		m.keep("many", n, holder{})
		if n%1000 == 0 {
			if h, ok := m.recall("one", 1); !ok || !h.own {
				t.Fatalf("what is asked for was forgotten after %d", n)
			}
		}
	}
	if n := len(m.now) + len(m.old); n > maxKnown {
		t.Errorf("%d are kept", n)
	}
	if _, ok := m.recall("two", 1); ok {
		t.Error("a socket is known of an instance that was never asked for")
	}
}
