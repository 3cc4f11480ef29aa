package e2e

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"

	"github.com/coder/websocket"
	"github.com/quic-go/quic-go/http3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// call is one client of one instance.
type call struct {
	ctx    context.Context
	client *http.Client
	port   string // of the edge
	secure string // of one with TLS
	id     string
	large  string       // a file of largeBody
	read   atomic.Int64 // bytes of a body that were taken from the client
}

const largeBody = 10 << 20

// enough is how long visitors wait where nobody is to wait in vain.
const enough = 10 * patience

func (c *call) host() string           { return c.id + ".localhost:" + c.port }
func (c *call) url(path string) string { return "http://" + c.host() + path }

// request makes one; the header has | between its lines.
func (c *call) request(method, url, header string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(c.ctx, method, url, body)
	if err != nil {
		panic(err)
	}
	for line := range strings.SplitSeq(header, "|") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			r.Header.Add(name, value)
		}
	}
	return r
}

// served sends a request, and wants the app's own answer to it.
func (c *call) served(client *http.Client, r *http.Request) error {
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return c.isApps(resp.StatusCode, body, r.URL.RequestURI())
}

func (c *call) isApps(status int, body []byte, uri string) error {
	e, err := answer{status: status, body: body}.decode()
	if err == nil && (e.Instance != c.id || e.URI != uri) {
		err = fmt.Errorf("%s of %s answered, want %s of %s", e.URI, e.Instance, uri, c.id)
	}
	return err
}

func get(header string) func(*call) error {
	return func(c *call) error { return c.served(c.client, c.request("GET", c.url("/a?b=c"), header, nil)) }
}

// curl asks for a path, and wants the app's answer.
func curl(args ...string) func(*call) error {
	return func(c *call) error {
		status, out, err := c.curl("/a?b=c", args...)
		if err != nil {
			return err
		}
		return c.isApps(status, out, "/a?b=c")
	}
}

func (c *call) curl(path string, args ...string) (status int, body []byte, err error) {
	args = append([]string{"-sS", "--resolve", c.host() + ":127.0.0.1", "-w", "\n%{http_code}"}, args...)
	out, err := exec.CommandContext(c.ctx, "curl", append(args, c.url(path))...).CombinedOutput()
	i := strings.LastIndexByte(string(out), '\n')
	if err != nil || i < 0 {
		return 0, nil, fmt.Errorf("curl: %w: %s", err, out)
	}
	_, err = fmt.Sscan(string(out[i:]), &status)
	return status, out[:i], err
}

// curlSends posts the large body by curl, which asks before it sends so much.
func curlSends(args ...string) func(*call) error {
	return func(c *call) error {
		status, out, err := c.curl("/a?b=c", append([]string{"--data-binary", "@" + c.large, "--expect100-timeout", "300"}, args...)...)
		if err == nil {
			err = c.isApps(status, out, "/a?b=c")
		}
		if err == nil {
			err = c.isWhole(out)
		}
		return err
	}
}

// isWhole wants the large body to have reached the app.
func (c *call) isWhole(body []byte) error {
	large, err := os.ReadFile(c.large)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(large)
	if e, err := (answer{status: 200, body: body}).decode(); err != nil || e.Body != hex.EncodeToString(sum[:]) {
		return fmt.Errorf("the app got another body (%w)", err)
	}
	return nil
}

// counted counts what is read of a body.
type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// sends posts the large body, and counts what is taken of it.
func sends(header string) func(*call) error {
	return func(c *call) error {
		transport := &http.Transport{ExpectContinueTimeout: enough, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+c.port)
			if err == nil {
				err = conn.(*net.TCPConn).SetWriteBuffer(64 << 10)
			}
			return conn, err
		}}
		defer transport.CloseIdleConnections()
		file, err := os.Open(c.large)
		if err != nil {
			return err
		}
		defer file.Close()
		r := c.request("POST", c.url("/a"), header, counted{file, &c.read})
		r.ContentLength = largeBody
		resp, err := transport.RoundTrip(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		if err := c.isApps(resp.StatusCode, body, "/a"); err != nil {
			return err
		}
		return c.isWhole(body)
	}
}

func opensWebSocket(c *call) error {
	conn, resp, err := websocket.Dial(c.ctx, c.url("/ws"), &websocket.DialOptions{HTTPClient: c.client})
	if err != nil {
		return fmt.Errorf("%w (%v)", err, resp)
	}
	defer conn.CloseNow()
	if err := conn.Write(c.ctx, websocket.MessageText, []byte("hello")); err != nil {
		return err
	}
	if _, data, err := conn.Read(c.ctx); err != nil || string(data) != "hello" {
		return fmt.Errorf("echo %q (%w)", data, err)
	}
	return conn.Close(websocket.StatusNormalClosure, "")
}

// opensEvents is an EventSource, up to its first event.
func opensEvents(c *call) error {
	return c.awaitEvent(c.url("/stream"), "data: 0\n")
}

// awaitEvent reads an event stream up to a line.
func (c *call) awaitEvent(url, line string) error {
	resp, err := c.client.Do(c.request("GET", url, "Accept: text/event-stream|Cache-Control: no-cache", nil))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || kind != "text/event-stream" {
		return fmt.Errorf("%d of %s", resp.StatusCode, kind)
	}
	got := make([]byte, 0, 1<<10)
	for part := make([]byte, 1<<10); !strings.Contains(string(got), line); {
		if err != nil {
			return fmt.Errorf("%w after %q", err, got)
		}
		var n int
		n, err = resp.Body.Read(part)
		got = append(got, part[:n]...)
	}
	return nil
}

// rawCodec has bytes for messages of gRPC.
type rawCodec struct{}

func (rawCodec) Name() string                  { return "raw" }
func (rawCodec) Marshal(v any) ([]byte, error) { return v.([]byte), nil }
func (rawCodec) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = b
	return nil
}

func callsGRPC(c *call) error {
	conn, err := grpc.NewClient("passthrough:///127.0.0.1:"+c.port, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(c.host()))
	if err != nil {
		return err
	}
	defer conn.Close()
	var got []byte
	err = conn.Invoke(c.ctx, "/test.Echo/Say", []byte("hello"), &got, grpc.ForceCodec(rawCodec{}))
	if err == nil && string(got) != "hello" {
		err = fmt.Errorf("the app says %q", got)
	}
	return err
}

// asksAsync is told where to ask, and comes again when the app runs.
func asksAsync(c *call) error {
	resp, err := c.client.Do(c.request("GET", c.url("/a?b=c"), "Prefer: respond-async", nil))
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != 202 || resp.Header.Get("Preference-Applied") != "respond-async" || resp.Header.Get("Location") != c.url("/.slipway/status") {
		return fmt.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	for {
		status, err := c.client.Do(c.request("GET", resp.Header.Get("Location"), "", nil))
		if err != nil {
			return err
		}
		var state struct{ Status, URL string }
		err = json.NewDecoder(status.Body).Decode(&state)
		status.Body.Close()
		if err != nil || state.URL != c.url("/") {
			return fmt.Errorf("the state is %+v (%w)", state, err)
		}
		if state.Status == "DEPLOYED" {
			return get("")(c)
		}
	}
}

// loadsPage is what a browser does with the waiting page.
func loadsPage(c *call) error {
	const navigation = "Accept: text/html,application/xhtml+xml,*/*;q=0.8|Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: document"
	resp, err := c.client.Do(c.request("GET", c.url("/a?b=c"), navigation, nil))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(body), `data-wait="/.slipway/wait"`) {
		return fmt.Errorf("%d %v %.300s (%w)", resp.StatusCode, resp.Header, body, err)
	}
	if err := c.awaitEvent(c.url("/.slipway/wait"), "event: load\n"); err != nil {
		return err
	}
	return get(navigation)(c)
}

// overTLS asks the edge with TLS, by HTTP/2 or HTTP/3.
func overTLS(protocol string) func(*call) error {
	return func(c *call) error {
		config := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the protocol alone matters
		var transport http.RoundTripper
		if protocol == "h3" {
			h3 := &http3.Transport{TLSClientConfig: config}
			defer h3.Close()
			transport = h3
		} else {
			h2 := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DialContext: loopbackOnly}
			defer h2.CloseIdleConnections()
			transport = h2
		}
		r := c.request("GET", "https://127.0.0.1:"+c.secure+"/a?b=c", "", nil)
		r.Host = c.id + ".localhost:" + c.secure
		return c.served(&http.Client{Transport: transport}, r)
	}
}

func loopbackOnly(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}

// clients are those of the table of spec instances.md §3 who wake an instance.
// Each has one of its own.
var clients = []struct {
	name  string
	visit func(*call) error
	most  int64 // bytes of a body that are taken while it waits
}{
	{"curl", curl(), 0},
	{"curl over HTTP/2", curl("--http2-prior-knowledge"), 0},
	{"curl posts a form", curl("-d", "a=b"), 0},
	{"curl posts 10 MiB", curlSends("-H", "Expect:"), 0},
	{"curl posts 10 MiB and asks first", curlSends("-H", "Expect: 100-continue"), 0},
	{"curl posts 10 MiB over HTTP/2", curlSends("--http2-prior-knowledge"), 0},
	{"10 MiB", sends(""), 1 << 20},
	{"10 MiB, with Expect", sends("Expect: 100-continue"), 0},
	{"a browser's form", func(c *call) error {
		return c.served(c.client, c.request("POST", c.url("/a"), "Sec-Fetch-Mode: navigate|Accept: text/html|Content-Type: application/x-www-form-urlencoded", strings.NewReader("a=b")))
	}, 0},
	{"a browser", loadsPage, 0},
	{"a WebSocket", opensWebSocket, 0},
	{"an EventSource", opensEvents, 0},
	{"gRPC", callsGRPC, 0},
	{"respond-async", asksAsync, 0},
	{"a preflight of a PUBLIC one", func(c *call) error {
		return c.served(c.client, c.request("OPTIONS", c.url("/a"), "Origin: https://other.example|Access-Control-Request-Method: PUT", nil))
	}, 0},
	{"HTTP/2", overTLS("h2"), 0},
	{"HTTP/3", overTLS("h3"), 0},
}
