package framing

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// serve starts a server on a real socket and returns where.
func serve(t *testing.T, handler http.HandlerFunc) string { return serveH2C(t, handler) }

func dial(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c, bufio.NewReader(c)
}

// echo takes an upgrade in one of the ways that handlers have, and sends back
// what comes.
func echo(t *testing.T, before bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			io.WriteString(w, "served")
			return
		}
		const head = "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
		if before {
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if !before {
			io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\n"+head)
		}
		rw.Flush()
		io.Copy(c, rw)
	}
}

func TestAfterAnUpgradeEveryBytePasses(t *testing.T) {
	const upgrade = "GET /ws HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	foreign := "\x00\n\rGET / HTTP/1.1\n\n" + strings.Repeat("\xff", 100<<10)
	for _, tc := range []struct {
		name   string
		before bool
		parts  []string
	}{
		{"101, then hijacked", true, []string{upgrade, foreign}},
		{"hijacked, then 101", false, []string{upgrade, foreign}},
		{"101, and bytes come with the head", true, []string{upgrade + foreign}},
		{"hijacked, and bytes come with the head", false, []string{upgrade + foreign}},
		{"behind another request", true, []string{next + upgrade + foreign}},
		{"in parts", true, []string{upgrade[:30], upgrade[30:], foreign[:1], foreign[1:]}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, r := dial(t, serve(t, echo(t, tc.before)))
			go func() {
				for _, part := range tc.parts {
					io.WriteString(c, part)
				}
			}()
			for {
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode == http.StatusSwitchingProtocols {
					break
				}
				io.Copy(io.Discard, resp.Body)
			}
			got := make([]byte, len(foreign))
			if _, err := io.ReadFull(r, got); err != nil || string(got) != foreign {
				t.Errorf("what came back differs (%v)", err)
			}
		})
	}
}

// Bytes that come while nobody knows what they are belong to the next request
// if the server does not switch.
func TestAnUpgradeThatIsAnsweredLateIsStillJudged(t *testing.T) {
	arrived, answer := make(chan struct{}), make(chan struct{})
	c, r := dial(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if status, _, ok := Refusal(r); ok {
			w.WriteHeader(status)
			return
		}
		close(arrived)
		<-answer
	}))
	io.WriteString(c, get("Connection: Upgrade\r\nUpgrade: websocket\r\n"))
	<-arrived
	io.WriteString(c, "GET / HTTP/1.1\n\n")
	close(answer)
	for _, want := range []int{200, 400} {
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("%v, %v, want %d", resp, err, want)
		}
		io.Copy(io.Discard, resp.Body)
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection does not end: %v", err)
	}
}

func TestAnswersAreFoundInWhatIsWritten(t *testing.T) {
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: \r\r\n\r\n"
	for _, tc := range []struct {
		written string
		want    uint32
	}{
		{"HTTP/1.1 101 Switching Protocols\r\n", switched},
		{"HTTP/1.1 200 OK\r\n", declined},
		{"HTTP/1.1 10", awaited},
		{"HTTP/1.1 100 Continue\r\n\r\n", awaited},
		{hints + hints + "HTTP/1.1 101 Switching Protocols\r\n", switched},
		{hints + "HTTP/1.1 404 Not Found\r\n", declined},
		{"HTTP/1.1 111 What\r\nA: HTTP/1.1 101 b\r\n\r\nHTTP/1.1 200", declined},
	} {
		for step := 1; step <= len(tc.written); step++ {
			var s answerScan
			got := awaited
			for left := tc.written; left != "" && got == awaited; {
				n := min(step, len(left))
				got = s.scan([]byte(left[:n]))
				left = left[n:]
			}
			if got != tc.want {
				t.Errorf("%q in steps of %d: %d, want %d", tc.written, step, got, tc.want)
			}
		}
	}
}

// The client of a refused request reads its answer although it has not sent
// everything yet.
func TestARefusalReachesAClientThatIsStillSending(t *testing.T) {
	c, r := dial(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		status, _, _ := Refusal(r)
		w.Header().Set("Connection", "close")
		w.WriteHeader(status)
	}))
	if _, err := io.WriteString(c, "GET /"+repeat(500<<10)); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusRequestURITooLong {
		t.Errorf("%v, %v", resp, err)
	}
}

// A head has its time from its first byte, on a connection that was idle too.
func TestSlowHeadsAreCutOff(t *testing.T) {
	for name, first := range map[string]string{"first": "", "second": next, "behind an empty line": "\r\n"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				c := &conn{Conn: server, headerTimeout: 10 * time.Second}
				c.SetReadDeadline(time.Now().Add(time.Hour)) // idle
				start := time.Now()
				done := make(chan struct{})
				go func() {
					defer close(done)
					io.WriteString(client, first)
					time.Sleep(time.Minute)
					start = time.Now()
					for _, b := range []byte("GET / HTTP") {
						if _, err := client.Write([]byte{b}); err != nil {
							return
						}
						time.Sleep(2 * time.Second)
					}
				}()
				p := make([]byte, 4<<10)
				n, err := c.Read(p)
				if first == next {
					if string(p[:n]) != next {
						t.Fatalf("%q, %v", p[:n], err)
					}
					n, err = c.Read(p)
				}
				if took := time.Since(start); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || took != 10*time.Second {
					t.Errorf("%q, %v after %s", p[:n], err, took)
				}
				client.Close()
				server.Close()
				<-done
			})
		})
	}
}

// A request sent ahead in part must not end the one that is being answered.
func TestTheWatchOfTheServerHasNoTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		c := &conn{Conn: server, headerTimeout: 10 * time.Second}
		done := make(chan struct{})
		go func() {
			defer close(done)
			io.WriteString(client, next[:5])
			time.Sleep(time.Hour)
			io.WriteString(client, next[5:])
		}()
		p := make([]byte, 1)
		if n, err := c.Read(p); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		client.Close()
		server.Close()
		<-done
	})
}

// What a client sends behind a request must not hide that it leaves: nobody
// would end what is done for it.
func TestAClientThatLeavesIsMissedWhateverItSent(t *testing.T) {
	const upgrade = "GET / HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	const get = "GET / HTTP/1.1\r\n" + host + "\r\n"
	for name, raw := range map[string]string{
		"nothing":                   get,
		"a request":                 get + next,
		"requests":                  get + strings.Repeat(next, 10),
		"part of a request":         get + next[:10],
		"what is no request":        get + "nonsense\r\n\r\n",
		"a body and a request":      "POST / HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\nok" + next,
		"nothing behind an upgrade": upgrade,
		"frames behind an upgrade":  upgrade + "\x81\x82\x00\x00\x00\x00hi",
	} {
		t.Run(name, func(t *testing.T) {
			began, ended := make(chan struct{}), make(chan error, 1)
			c, _ := dial(t, serve(t, func(_ http.ResponseWriter, r *http.Request) {
				if r.Context().Err() != nil {
					return // what came behind it
				}
				_, _ = io.Copy(io.Discard, r.Body)
				close(began)
				select {
				case <-r.Context().Done():
					ended <- nil
				case <-time.After(patience / 2):
					ended <- errors.New("the client is not missed")
				}
			}))
			io.WriteString(c, raw)
			<-began
			c.Close()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestALargeBodyTakesNoMemory(t *testing.T) {
	const size = 1 << 30
	c := &conn{Conn: &endless{head: fmt.Sprintf("%sContent-Length: %d\r\n\r\n", post, size)}}
	p := make([]byte, 32<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	total := 0
	for total < size {
		n, err := c.Read(p)
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("1 GiB took %d bytes", got)
	}
}

// endless is a client that sends a head again and again, or once and zeros.
type endless struct {
	net.Conn
	head  string
	again bool
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.again {
		return copy(p, e.head), nil
	}
	n := copy(p, e.head[e.at:])
	e.at += n
	if n == 0 {
		n = len(p)
	}
	return n, nil
}

// browser is a head of about 500 bytes.
const browser = "GET /instance/path?query=1 HTTP/1.1\r\nHost: 00000001-0000-4000-8000-00000000abcd.apps.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n" +
	"Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\r\n"

func TestARequestAllocatesNothing(t *testing.T) {
	c := &conn{Conn: &endless{head: browser, again: true}}
	p := make([]byte, 4<<10)
	if n := testing.AllocsPerRun(100, func() {
		if n, err := c.Read(p); n != len(browser) || err != nil {
			t.Fatal(n, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
