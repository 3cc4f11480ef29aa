// Command testapp is the web app that the end-to-end tests import: it answers
// what reached it, so that a test can compare it byte for byte.
package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
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
	// Listening is since when the app's port is open, as this machine's clock told
	// right after that: nanoseconds since 1970.
	Listening int64 `json:"listening_ns"`
}

var listening time.Time

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
	// A test that opens a gate knows that no visitor is served before.
	if gate := os.Getenv("START_GATE"); gate != "" {
		for closed := true; closed; time.Sleep(10 * time.Millisecond) {
			_, err := os.Stat(gate)
			closed = err != nil
		}
	}
	fmt.Println("testapp listens")
	// In a pod it is its address that visitors come to.
	listener, err := net.Listen("tcp", net.JoinHostPort(cmp.Or(os.Getenv("LISTEN_ON"), "127.0.0.1"), os.Getenv("PORT")))
	if err != nil {
		return err
	}
	listening = time.Now()
	server := &http.Server{Handler: http.HandlerFunc(serve), ConnContext: withRecord, MaxHeaderBytes: 1 << 20} //nolint:gosec // slow clients are the edge's to keep off
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true) // as an app of gRPC speaks
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
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") && r.ProtoMajor == 2 {
		call(w, r)
		return
	}
	switch path {
	case "/ws":
		webSocket(w, r)
	case "/stream":
		stream(w, r)
	case "/endless":
		endless(w, r)
	case "/film":
		w.Header().Set("Content-Type", "video/mp4")
		pour(w)
	case "/file":
		w.Header().Set("Content-Length", strconv.Itoa(pieces*len(piece)))
		pour(w)
	case "/silent":
		silent(w, r)
	case "/job":
		job(w, r)
	case "/read":
		http.ServeFile(w, r, r.URL.RawQuery)
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
		Listening: listening.UnixNano(),
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

// stream sends an event at once and another long after, if somebody still listens:
// a proxy that gathered them would deliver the first too late.
func stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	fmt.Fprint(w, "data: 0\n\n")
	if control.Flush() != nil {
		return
	}
	select {
	case <-r.Context().Done():
	case <-time.After(15 * time.Second):
		fmt.Fprint(w, "data: 1\n\n")
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
