package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	servedMany      = 20_000   // requests, to compare with
	floodOfOne      = 3000     // frames or streams on one connection
	mostFloodMemory = 64 << 10 // KiB (spec routing.md §7)
)

// flooder is one connection of an attacker.
type flooder struct {
	*http2.Framer
	stream uint32 // the next one is one higher
	block  bytes.Buffer
}

// open begins a request that the edge answers by itself.
func (f *flooder) open(end bool, more ...string) error {
	f.block.Reset()
	encoder := hpack.NewEncoder(&f.block)
	fields := append([]string{":method", "GET", ":scheme", "http", ":authority", "localhost", ":path", "/livez"}, more...)
	for i := 0; i < len(fields); i += 2 {
		if err := encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			return err
		}
	}
	f.stream += 2
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: f.stream - 1, BlockFragment: f.block.Bytes(), EndStream: end, EndHeaders: true})
}

// floods are what is sent again and again, n counting from 0 on each
// connection, and over how many connections.
var floods = []struct {
	name  string
	conns int
	send  func(f *flooder, n int) error
}{
	{"rapid reset", 7, func(f *flooder, _ int) error {
		return errors.Join(f.open(true), f.WriteRSTStream(f.stream-1, http2.ErrCodeCancel))
	}},
	{"resets that the server is made to send", 7, func(f *flooder, _ int) error {
		return errors.Join(f.open(false), f.WriteWindowUpdate(f.stream-1, 0))
	}},
	{"windows that overflow", 7, func(f *flooder, _ int) error {
		return errors.Join(f.open(false), f.WriteWindowUpdate(f.stream-1, 1<<31-1))
	}},
	{"malformed requests", 7, func(f *flooder, _ int) error { return f.open(true, "upgrade", "h2c") }},
	{"CONTINUATION", 7, func(f *flooder, n int) error {
		if n == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
		}
		return f.WriteContinuation(1, false, nil)
	}},
	{"large CONTINUATION", 20, func(f *flooder, n int) error {
		// A field that fills the frame: its length is 16,384 - 6.
		field := append([]byte{0x00, 0x01, 'a', 0x7f, 0xfb, 0x7e}, bytes.Repeat([]byte{'b'}, 16<<10-6)...)
		if n == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: field})
		}
		return f.WriteContinuation(1, false, field)
	}},
	{"PING", 7, func(f *flooder, _ int) error { return f.WritePing(false, [8]byte{}) }},
	{"SETTINGS", 7, func(f *flooder, _ int) error { return f.WriteSettings() }},
	{"PRIORITY", 7, func(f *flooder, _ int) error { return f.WritePriority(1, http2.PriorityParam{StreamDep: 3}) }},
	{"empty DATA", 7, func(f *flooder, n int) error {
		if n == 0 {
			return f.open(false)
		}
		return f.WriteData(1, false, nil)
	}},
	{"WINDOW_UPDATE", 7, func(f *flooder, _ int) error { return f.WriteWindowUpdate(0, 1) }},
	{"WINDOW_UPDATE of 0", 7, func(f *flooder, _ int) error { return f.WriteWindowUpdate(0, 0) }},
	{"many fields", 20, func(f *flooder, n int) error {
		f.stream += 2
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: f.stream - 1, EndStream: true, EndHeaders: true,
			BlockFragment: bytes.Repeat([]byte{0x90}, 16<<10)}) // accept-encoding, of the static table
	}},
}

// Floods of HTTP/2 end their connection, and cost little: that is in the test's
// log, by as many requests that the edge answers by itself.
func TestFloodsOfHTTP2EndTheirConnection(t *testing.T) {
	s := up(t)
	pid := s.process.PID
	before := cpuOf(t, pid)
	serveMany(t, s.address())
	served := (cpuOf(t, pid) - before) / servedMany
	t.Logf("%v of CPU for a request", served)
	for _, flood := range floods {
		t.Run(flood.name, func(t *testing.T) {
			resting := memoryOf(t, pid, "VmRSS")
			before, sent := cpuOf(t, pid), 0
			for range flood.conns {
				sent += floodOnce(t, s.address(), flood.send)
			}
			cost, grown := cpuOf(t, pid)-before, memoryOf(t, pid, "VmHWM")-resting
			t.Logf("%d over %d connections: %v of CPU, %.2f of as many requests; %d KiB more memory",
				sent, flood.conns, cost, float64(cost)/float64(served*time.Duration(sent)), grown)
			if grown > mostFloodMemory {
				t.Errorf("it takes %d KiB", grown)
			}
		})
	}
	serveMany(t, s.address()) // and afterwards
}

// floodOnce floods one connection, wants it to end, and returns how often it
// has sent.
func floodOnce(t *testing.T, address string, send func(*flooder, int) error) int {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	out := bufio.NewWriter(conn)
	f := &flooder{Framer: http2.NewFramer(out, conn)}
	f.AllowIllegalWrites = true
	io.WriteString(out, http2.ClientPreface)
	f.WriteSettings()
	ended := make(chan error, 1)
	go func() {
		for {
			frame, err := f.ReadFrame()
			if _, away := frame.(*http2.GoAwayFrame); err != nil || away {
				ended <- err
				return
			}
		}
	}()
	n := 0
	for ; n < floodOfOne && len(ended) == 0; n++ {
		if send(f, n) != nil {
			break
		}
	}
	out.Flush()
	if err := <-ended; errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection does not end")
	}
	return n
}

// serveMany asks for servedMany answers, on one connection.
func serveMany(t *testing.T, address string) {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols), DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range servedMany / 20 {
				resp, err := client.Get("http://localhost/livez")
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Error(resp.Status)
					return
				}
			}
		})
	}
	wg.Wait()
}

// cpuOf is what a process has used of the CPU.
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Skip("measures by /proc: ", err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // the kernel's unit for programs
}

// memoryOf is a process's VmRSS, or its VmHWM, the most since VmRSS was asked
// for, in KiB.
func memoryOf(t *testing.T, pid int, name string) int {
	t.Helper()
	if name == "VmRSS" {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
			t.Skip("measures by /proc: ", err)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), name+":")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib
}
