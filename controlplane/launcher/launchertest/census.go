package launchertest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// censusScheme tells the address of a Census from a folder.
const censusScheme = "tcp:"

// Census counts workloads that share no folder: each holds a connection for the
// life of its process, which the kernel closes with it.
type Census struct {
	address string

	mu       sync.Mutex
	living   map[string]int // by instance
	overlaps []string
}

// NewCensus begins a census that workloads reach at a free port of host. It ends
// with the test.
func NewCensus(t *testing.T, host string) *Census {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	c := &Census{address: l.Addr().String(), living: map[string]int{}}
	var (
		conns sync.WaitGroup
		mu    sync.Mutex
		open  = map[net.Conn]bool{}
	)
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			conns.Go(func() {
				defer conn.Close()
				c.hold(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		conns.Wait()
	})
	return c
}

// Env is the value of EnvCensus.
func (c *Census) Env() string { return censusScheme + c.address }

// Overlaps lists the workloads that met another one of their instance.
func (c *Census) Overlaps() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.overlaps...)
}

// hold counts a workload until its connection ends.
func (c *Census) hold(conn net.Conn) {
	lines := bufio.NewScanner(conn)
	if !lines.Scan() {
		return
	}
	id := lines.Text()
	c.mu.Lock()
	if c.living[id]++; c.living[id] > 1 {
		c.overlaps = append(c.overlaps, fmt.Sprintf("%s from %s", id, conn.RemoteAddr()))
	}
	c.mu.Unlock()
	fmt.Fprintln(conn, "counted")
	for lines.Scan() { // its end is the process's
	}
	c.mu.Lock()
	c.living[id]--
	c.mu.Unlock()
}

// reportLimit is how long a workload tries to be counted.
const reportLimit = 20 * time.Second

// counted keeps the connection for the life of the process.
var counted net.Conn

// report has this process counted. It goes on once it is.
func report(address, id string) {
	var err error
	for end := time.Now().Add(reportLimit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if counted, err = net.DialTimeout("tcp", address, time.Second); err == nil {
			break // a new pod's network may take a moment
		}
	}
	if err == nil {
		fmt.Fprintln(counted, id)
		_, err = bufio.NewReader(counted).ReadString('\n')
	}
	if err != nil { // the suite would miss an overlap
		fmt.Println("count:", err)
		os.Exit(5)
	}
}
