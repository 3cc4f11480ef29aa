// Command testapp is the web app that the end-to-end tests import: it answers
// what reached it, so that a test can compare it byte for byte.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// echo is what the app says about a request; the tests decode it.
type echo struct {
	URI      string            `json:"uri"`
	Method   string            `json:"method"`
	Host     string            `json:"host"`
	Header   http.Header       `json:"header"`
	Body     string            `json:"body_sha256"`
	Pid      int               `json:"pid"`
	Instance string            `json:"instance"`
	Env      map[string]string `json:"env"`
	// Raw is all that came over the connection for this request, byte for byte.
	Raw []byte `json:"raw"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "testapp:", err)
		os.Exit(1)
	}
}

func run() error {
	if name := os.Getenv("START_LOG"); name != "" {
		if err := logStart(name); err != nil {
			return err
		}
	}
	if os.Getenv("EXIT_AT_ONCE") != "" {
		return fmt.Errorf("ends at once, as it was told to")
	}
	// A start that takes a while lets visitors gather before it is over.
	if delay, err := time.ParseDuration(os.Getenv("START_DELAY")); err == nil {
		time.Sleep(delay)
	}
	// A file says when, where a test is to look at a start in peace.
	for gate := os.Getenv("START_GATE"); gate != ""; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(gate); err == nil {
			break
		}
	}
	fmt.Println("testapp listens")
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(serve), ConnContext: withRecord, MaxHeaderBytes: 1 << 20} //nolint:gosec // slow clients are the edge's to keep off
	return server.Serve(recorder{listener})
}

// logStart appends one line, in one write, so that two processes' lines never
// mix.
func logStart(name string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s %d\n", os.Getenv("H2O_CLOUD_INSTANCE_ID"), os.Getpid())
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

// serve looks at the raw path: a mux would clean what is to be compared.
func serve(w http.ResponseWriter, r *http.Request) {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	path = "/" + strings.TrimPrefix(strings.TrimPrefix(path, os.Getenv("H2O_WAVE_BASE_URL")), "/")
	switch path {
	case "/ws":
		webSocket(w, r)
	case "/stream":
		stream(w)
	case "/endless":
		endless(w, r)
	case "/answer":
		scripted(w, r)
	case "/slow":
		time.Sleep(time.Second)
		answer(w, r)
	default:
		answer(w, r)
	}
}

func answer(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	if _, err := io.Copy(sum, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out := echo{
		URI: r.RequestURI, Method: r.Method, Host: r.Host, Header: r.Header,
		Body: hex.EncodeToString(sum.Sum(nil)), Pid: os.Getpid(),
		Instance: os.Getenv("H2O_CLOUD_INSTANCE_ID"), Env: map[string]string{}, Raw: recordOf(r),
	}
	for _, line := range os.Environ() {
		name, value, _ := strings.Cut(line, "=")
		out.Env[name] = value
	}
	data, err := json.Marshal(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(data)
}

func webSocket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	for {
		kind, data, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), kind, data) != nil {
			return
		}
	}
}

// stream sends an event at once and another later: a proxy that gathered them
// would deliver the first too late.
func stream(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	for i := range 2 {
		fmt.Fprintf(w, "data: %d\n\n", i)
		if control.Flush() != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// endless sends a byte at a time until nobody listens: as an event stream, or,
// with ?download, as a file of a length that it does not reach.
func endless(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery == "download" {
		w.Header().Set("Content-Length", "1000000")
	} else {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	control := http.NewResponseController(w)
	for range 1000000 {
		if _, err := w.Write([]byte("\n")); err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}
