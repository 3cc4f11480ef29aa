//go:build linux

package netns

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	handle "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/machine"
)

// The tests run in a network namespace that stands for the machine. In the
// namespaces that they make, servers run, which are this program, too.
const (
	inMachine = "NETNSTEST_MACHINE"
	serveAt   = "NETNSTEST_SERVE"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(serveAt) != "" && os.Args[0] != "serve":
		runtime.LockOSThread()
		fd, err := confine.Open("/proc/self/exe")
		if err == nil {
			err = confine.Apply(confine.Spec{Network: "/proc/self/fd/3", User: &confine.User{UID: 61004, GID: 61004}})
		}
		if err == nil {
			err = confine.Exec(fd, []string{"serve"}, os.Environ())
		}
		fmt.Println(err)
		os.Exit(1)
	case os.Args[0] == "serve":
		serve(os.Getenv(serveAt))
	case os.Geteuid() == 0 && os.Getenv(inMachine) == "":
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Env = append(os.Environ(), inMachine+"=1")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		err := cmd.Run()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			os.Exit(exit.ExitCode())
		} else if err == nil {
			os.Exit(0)
		}
		fmt.Println("no network namespaces here:", err)
	}
	os.Exit(m.Run())
}

// serve answers each line, an address, by who asks and what that address says.
func serve(at string) {
	l, err := net.Listen("tcp4", at)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("open")
	for {
		conn, err := l.Accept()
		if err != nil {
			os.Exit(1)
		}
		go func() {
			defer conn.Close()
			line, _ := bufio.NewReader(conn).ReadString('\n')
			host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
			answer := "you are " + host
			if to := strings.TrimSpace(line); to != "" {
				answer = ask(to, "")
			}
			fmt.Fprintln(conn, answer)
		}()
	}
}

func ask(address, line string) string {
	conn, err := net.DialTimeout("tcp4", address, time.Second)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintln(conn, line)
	b, err := io.ReadAll(conn)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}

func needMachine(t *testing.T) {
	t.Helper()
	if os.Getenv(inMachine) == "" {
		t.Skip("only root can make network namespaces that reach the machine")
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func networks(t *testing.T) *Networks {
	t.Helper()
	n, err := New(netip.Prefix{}, "test")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func start(t *testing.T, file *os.File, at string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{serveAt + "=" + at}
	cmd.ExtraFiles = []*os.File{file}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var faults bytes.Buffer
	cmd.Stderr = &faults
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "open" {
		t.Fatalf("server: %q %s", lines.Text(), &faults)
	}
	return cmd
}

func instance(t *testing.T, n *Networks, at string, port int) (*Namespace, *exec.Cmd) {
	t.Helper()
	made, err := n.Make("slipway test", port)
	if err != nil {
		t.Fatal(err)
	}
	cmd := start(t, made.File, at)
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	return made, cmd
}

func links(t *testing.T) []string {
	t.Helper()
	all, err := netlink.LinkList()
	for errors.Is(err, netlink.ErrDumpInterrupted) { // others change links at the same time
		all, err = netlink.LinkList()
	}
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	for _, l := range all {
		if strings.HasPrefix(l.Attrs().Name, linkPrefix) {
			ours = append(ours, l.Attrs().Name)
		}
	}
	return ours
}

// gone awaits the kernel, which takes namespaces down in the background.
func gone(t *testing.T) {
	t.Helper()
	for until := time.Now().Add(time.Minute); len(links(t)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("devices are left: %v", links(t))
		}
	}
}

func TestInstancesHaveOnePortEach(t *testing.T) {
	needMachine(t)
	n := networks(t)
	if err := n.Probe(); err != nil {
		t.Fatal(err)
	}
	gone(t)
	one, first := instance(t, n, "127.0.0.1:8080", 8080)
	two, second := instance(t, n, "0.0.0.0:8080", 8080)
	if one.Inside == two.Inside {
		t.Fatalf("both have %s", one.Inside)
	}
	for _, made := range []*Namespace{one, two} {
		at := netip.AddrPortFrom(made.Inside, 8080).String()
		if got := ask(at, ""); got != "you are "+made.Outside.String() {
			t.Errorf("%s answers %q", at, got)
		}
	}
	link, err := netlink.LinkByName(one.Link)
	if err != nil || link.Attrs().Alias != "slipway test" {
		t.Errorf("device %v, %v", link, err)
	}
	// What listens on the loopback of the machine is not theirs to reach.
	l, err := net.Listen("tcp4", "127.0.0.1:8081")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, to := range []string{"127.0.0.1:8081", one.Outside.String() + ":8081"} {
		if got := ask(netip.AddrPortFrom(one.Inside, 8080).String(), to); !strings.Contains(got, "refused") {
			t.Errorf("from inside, %s answers %q", to, got)
		}
	}
	for _, cmd := range []*exec.Cmd{first, second} {
		cmd.Process.Kill()
		cmd.Wait()
	}
	gone(t)
}

// beyond is another machine, which this one reaches by 192.0.2.1/24.
func beyond(t *testing.T) *os.File {
	t.Helper()
	var file *os.File
	err := machine.OnThread(func() (err error) {
		here, err := handle.Get()
		if err != nil {
			return err
		}
		defer here.Close()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if file, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		for _, end := range []struct {
			at   handle.NsHandle
			name string
			ip   string
		}{{here, "beyond", "192.0.2.1/24"}, {handle.NsHandle(file.Fd()), "eth0", "192.0.2.2/24"}} {
			h, err := netlink.NewHandleAt(end.at)
			if err != nil {
				return err
			}
			defer h.Close()
			if end.name == "beyond" {
				if err := h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: end.name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(file.Fd()))}); err != nil {
					return err
				}
			}
			link, err := h.LinkByName(end.name)
			if err != nil {
				return err
			}
			address, err := netlink.ParseAddr(end.ip)
			if err != nil {
				return err
			}
			if err := errors.Join(h.AddrAdd(link, address), h.LinkSetUp(link)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func forward(t *testing.T, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

func TestOutbound(t *testing.T) {
	needMachine(t)
	n := networks(t)
	start(t, beyond(t), "0.0.0.0:9000")
	forward(t, "0")
	if err := n.Outbound(); err == nil || !strings.Contains(err.Error(), "sysctl -w net.ipv4.ip_forward=1") {
		t.Errorf("a machine that does not forward: %v", err)
	}
	forward(t, "1")
	for range 2 {
		if err := n.Outbound(); err != nil {
			t.Fatal(err)
		}
	}
	one, _ := instance(t, n, "127.0.0.1:8080", 8080)
	two, _ := instance(t, n, "0.0.0.0:8080", 8080)
	from := netip.AddrPortFrom(one.Inside, 8080).String()
	if got := ask(from, "192.0.2.2:9000"); got != "you are 192.0.2.1" {
		t.Errorf("beyond the machine: %q", got)
	}
	if got := ask(from, two.Inside.String()+":8080"); !strings.Contains(got, "timeout") {
		t.Errorf("another instance answers: %q", got)
	}
	for _, there := range []bool{true, false} { // the second time there is nothing to do
		if got, err := n.Ruled(); err != nil || got != there {
			t.Errorf("ruled: %v, %v, want %v", got, err, there)
		}
		if err := n.Clear(); err != nil {
			t.Error(err)
		}
	}
	if got := ask(from, two.Inside.String()+":8080"); got != "you are "+one.Inside.String() {
		t.Errorf("the rules are not what kept them apart: %q", got)
	}
}

func TestANetworkThatIsInUse(t *testing.T) {
	needMachine(t)
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "other"}, PeerName: "peer"}
	address, err := netlink.ParseAddr("198.51.100.1/24")
	if err == nil {
		err = errors.Join(netlink.LinkAdd(link), netlink.AddrAdd(link, address), netlink.LinkSetUp(link))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer netlink.LinkDel(link)
	n, err := New(netip.MustParsePrefix("198.51.0.0/16"), "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Make("test", 80); err == nil || !strings.Contains(err.Error(), "198.51.100.0/24 over other") {
		t.Errorf("got %v", err)
	}
}

func TestPrefixes(t *testing.T) {
	for text, ok := range map[string]bool{"10.0.0.0/8": true, "10.1.2.4/30": true, "10.1.2.4/31": false, "fd00::/64": false} {
		if _, err := New(netip.MustParsePrefix(text), "test"); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
	if got := addressAt(netip.MustParsePrefix("10.1.0.0/16"), 1<<14-1, 2).String(); got != "10.1.255.254" {
		t.Errorf("the last address is %s", got)
	}
}
