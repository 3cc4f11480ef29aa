package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// request is written to the socket byte for byte: net/http's client would
// clean targets and lower-case nothing.
type request struct {
	method string // default GET
	target string
	host   string
	header []string // lines
	body   string
}

// answer is what came back.
type answer struct {
	status   int
	header   http.Header
	body     []byte
	location string
}

// echo is what the test app says about a request (testapp/main.go).
type echo struct {
	URI, Method, Host, Instance string
	Header                      http.Header
	Body                        string `json:"body_sha256"`
	Pid                         int
	Env                         map[string]string
}

// ask sends a request over a connection of its own.
func (s *slipway) ask(r request) (answer, error) {
	if r.method == "" {
		r.method = http.MethodGet
	}
	conn, err := net.Dial("tcp", s.address())
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(90 * time.Second))
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.method, r.target, r.host)
	connection := "Connection: close"
	for _, line := range r.header {
		if strings.HasPrefix(line, "Connection:") {
			connection = line
			continue
		}
		fmt.Fprintf(&raw, "%s\r\n", line)
	}
	fmt.Fprintf(&raw, "%s\r\n", connection)
	if r.body != "" || r.method == http.MethodPost {
		fmt.Fprintf(&raw, "Content-Length: %d\r\n", len(r.body))
	}
	raw.WriteString("\r\n" + r.body)
	if _, err := conn.Write(raw.Bytes()); err != nil {
		return answer{}, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.method})
	if err != nil {
		return answer{}, fmt.Errorf("%s %s of %s: %w", r.method, r.target, r.host, err)
	}
	defer response.Body.Close()
	a := answer{status: response.StatusCode, header: response.Header, location: response.Header.Get("Location")}
	if response.StatusCode != http.StatusSwitchingProtocols {
		a.body, err = io.ReadAll(response.Body)
	}
	return a, err
}

// get asks for a target of a host, and fails the test where nothing comes.
func (s *slipway) get(host, target string) answer {
	s.t.Helper()
	return s.send(s.t, request{target: target, host: host})
}

func (s *slipway) send(t *testing.T, r request) answer {
	t.Helper()
	a, err := s.ask(r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// echo decodes what the test app answered.
func (a answer) echo(t *testing.T) echo {
	t.Helper()
	e, err := a.decode()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (a answer) decode() (echo, error) {
	var e echo
	if a.status != http.StatusOK {
		return e, fmt.Errorf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal(a.body, &e); err != nil {
		return e, fmt.Errorf("%w: %s", err, a.body)
	}
	return e, nil
}

// dialWebSocket opens a WebSocket and checks that it echoes.
func (s *slipway) dialWebSocket(t *testing.T, url string) {
	t.Helper()
	c, response, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: client.LoopbackTransport(), Timeout: patience},
	})
	if err != nil {
		t.Fatalf("%v (%v)", err, response)
	}
	defer c.CloseNow()
	if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, data, err := c.Read(t.Context()); err != nil || string(data) != "hello" {
		t.Fatalf("echo %q, %v", data, err)
	}
	c.Close(websocket.StatusNormalClosure, "")
}

// loopback is a transport for *.localhost that ends with the test.
func loopback(t *testing.T) *http.Transport {
	t.Helper()
	transport := client.LoopbackTransport()
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}
