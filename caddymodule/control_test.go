package caddymodule_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/caddymodule/certtest"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
)

// control makes a control plane known until stop.
func (e *edge) control(name, address string) (stop func()) {
	e.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		e.store.Present(ctx, etcdstore.Presence{Key: etcdstore.ControlKey(name), Value: func() any {
			return etcdstore.ControlAddress{Address: address}
		}})
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	e.t.Cleanup(stop)
	return stop
}

// mirror tells what reached it.
type mirror struct{ Name, Method, Host, Target, Body, For, Proto, Forwarded, Auth string }

func mirrorAt(t *testing.T, name string) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		json.NewEncoder(w).Encode(mirror{
			name, r.Method, r.Host, r.RequestURI, string(body), r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"),
			r.Header.Get("X-Forwarded-Host") + r.Header.Get("Forwarded") + r.Header.Get("X-Slipway-User"), r.Header.Get("Authorization"),
		})
	})
}

func TestAPureEdgePassesOnToALiveControlPlane(t *testing.T) {
	e := startEdge(t, nil)
	api := "http://" + base + "/api/v1/apps"
	if resp := e.do("GET", api); resp.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("without a control plane: %d", resp.StatusCode)
	}
	stop := e.control("one", mirrorAt(t, "one"))
	eventually(t, "the control plane", func() bool { return e.do("GET", api).StatusCode == http.StatusOK })
	for _, tc := range []struct{ name, method, host, target, body string }{
		{"the api", "GET", base, "/api/v1/apps?a;b=1&c", ""},
		{"a change", "POST", base, "/api/v1/apps", "body"},
		{"an escape", "GET", base, "/api/a%2fb", ""},
		{"AppAPI's callback", "GET", base, "/ocs/v2.php/x", ""},
		{"the console", "GET", "console." + base, "/app/x?y", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp := e.raw(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"+
				"X-Slipway-User: root\r\nForwarded: for=6.6.6.6\r\nAuthorization: Bearer slw_x\r\nConnection: close\r\n\r\n%s", tc.method, tc.target, tc.host, len(tc.body), tc.body))
			var got mirror
			if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
				t.Fatalf("%d: %v", resp.StatusCode, err)
			}
			if want := (mirror{"one", tc.method, tc.host, tc.target, tc.body, "127.0.0.1", "http", tc.host, "Bearer slw_x"}); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
	for _, url := range []string{"http://" + base + "/other", "http://nobody." + base + "/api/v1/apps"} {
		if resp := e.do("GET", url); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s gives %d", url, resp.StatusCode)
		}
	}
	stop()
	eventually(t, "503", func() bool { return e.do("GET", api).StatusCode == http.StatusServiceUnavailable })
	e.wantNoErrors()
}

func TestAControlPlaneThatIsDeadIsPassedOver(t *testing.T) {
	e := startEdge(t, nil)
	e.control("dead", dead)
	e.control("deaf", freeAddr(t))
	e.control("one", mirrorAt(t, "one"))
	e.control("two", mirrorAt(t, "two"))
	api := "http://" + base + "/api/v1/apps"
	eventually(t, "a control plane", func() bool { return e.do("GET", api).StatusCode == http.StatusOK })
	for range 20 {
		for _, method := range []string{"GET", "POST"} {
			if resp := e.do(method, api, "Connection", "close"); resp.StatusCode != http.StatusOK {
				t.Fatalf("%s gives %d: %s", method, resp.StatusCode, text(resp))
			}
		}
	}
}

// A change must not be made twice: nobody knows how far it came.
func TestACallThatBreaksOffIsNotRepeated(t *testing.T) {
	e := startEdge(t, nil)
	calls := make(chan string, 10)
	e.control("one", serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls <- r.Method
		if r.Method == http.MethodPost {
			panic(http.ErrAbortHandler)
		}
	}))
	api := "http://" + base + "/api/v1/apps"
	eventually(t, "a control plane", func() bool { return e.do("GET", api).StatusCode == http.StatusOK })
	for len(calls) > 0 {
		<-calls
	}
	if resp := e.do("POST", api); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("it gives %d", resp.StatusCode)
	}
	if len(calls) != 1 {
		t.Errorf("it was sent %d times", len(calls))
	}
}

func TestAddressesBeyondThisMachineNeedTLS(t *testing.T) {
	e := startEdge(t, nil)
	e.control("far", "192.0.2.1:9000")
	eventually(t, "the refusal", func() bool { return e.errors() != "" })
	if resp := e.do("GET", "http://"+base+"/api/v1/apps"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("it gives %d", resp.StatusCode)
	}
}

func TestAnswersOfTheControlPlaneStream(t *testing.T) {
	e := startEdge(t, nil)
	next := make(chan struct{})
	e.control("one", serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return
		}
		line := bufio.NewReader(r.Body)
		for range 3 {
			text, _ := line.ReadString('\n')
			io.WriteString(w, text)
			http.NewResponseController(w).EnableFullDuplex()
			http.NewResponseController(w).Flush()
			<-next
		}
	}))
	api := "http://" + base + "/api/v1/watch"
	eventually(t, "a control plane", func() bool { return e.do("GET", api).StatusCode == http.StatusOK })
	body, write := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api, body)
	if err != nil {
		t.Fatal(err)
	}
	go func() { io.WriteString(write, "one\ntwo\nsix\n"); write.Close() }()
	resp, err := e.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, want := range []string{"one\n", "two\n", "six\n"} {
		got := make([]byte, 4)
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
			t.Fatalf("got %q (%v), want %q", got, err, want)
		}
		next <- struct{}{}
	}
}

func controlPlaneSettings(t *testing.T, listener settings) settings {
	return settings{"edge_name": "first", "control_listener": listener, "control_plane": settings{
		"blobs": t.TempDir(), "launchers": settings{"process": settings{"data": t.TempDir()}},
	}}
}

// status is that of a listener's answer to a host and a path.
func status(t *testing.T, h *http.Client, address, host, path string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	resp, err := h.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestTheControlPlaneServesOtherEdges(t *testing.T) {
	address := freeAddr(t)
	e := newEdge(t, controlPlaneSettings(t, settings{"listen": address}))
	e.load()
	t.Cleanup(stopCaddy(t))
	eventually(t, "its key", func() bool { return e.raw1("control/first") != "" })
	if got, want := e.raw1("control/first"), fmt.Sprintf(`{"v":1,"address":%q}`, address); got != want {
		t.Errorf("its key says %s, want %s", got, want)
	}
	h := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	for _, tc := range []struct {
		host, path string
		want       int
	}{
		{base, "/api/openapi.json", 200}, {base, "/api/v1/apps", 401}, {"console." + base, "/", 200},
		{base, "/", 404}, {base, "/livez", 404}, {"else.example", "/api/openapi.json", 404}, {instanceID(1) + "." + base, "/api/openapi.json", 404},
	} {
		if got := status(t, h, address, tc.host, tc.path); got != tc.want {
			t.Errorf("%s%s gives %d, want %d", tc.host, tc.path, got, tc.want)
		}
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if left := e.raw1("control/first") + e.raw1("edges/first"); left != "" {
		t.Errorf("after its end there is %s", left)
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}

// raw1 is the value of a key below the prefix, "" where there is none.
func (e *edge) raw1(key string) string {
	e.t.Helper()
	resp, err := e.etcd.Get(e.t.Context(), e.prefix+key)
	if err != nil {
		e.t.Fatal(err)
	}
	if len(resp.Kvs) == 0 {
		return ""
	}
	return string(resp.Kvs[0].Value)
}

func TestMutualTLSBetweenEdgeAndControlPlane(t *testing.T) {
	dir := t.TempDir()
	servers, edges, strangers := certtest.Authority(t), certtest.Authority(t), certtest.Authority(t)
	serverCA, _ := servers.Write(t, filepath.Join(dir, "servers"))
	edgeCA, _ := edges.Write(t, filepath.Join(dir, "edges"))
	strangerCA, _ := strangers.Write(t, filepath.Join(dir, "strangers"))
	cert, key := servers.Sign(t, "control.example").Write(t, filepath.Join(dir, "control"))
	edgeCert, edgeKey := edges.Sign(t, "edge").Write(t, filepath.Join(dir, "edge"))
	address := freeAddr(t)
	e := startEdge(t, controlPlaneSettings(t, settings{
		"listen": address, "tls_name": "control.example", "client_ca": edgeCA,
		"cert": cert, "key": key,
	}))
	eventually(t, "its key", func() bool { return e.raw1("control/first") != "" })
	for _, tc := range []struct {
		name, tlsName string
		client        *caddymodule.ControlClient
		want          int
	}{
		{"an edge", "control.example", &caddymodule.ControlClient{CA: serverCA, Cert: edgeCert, Key: edgeKey}, 200},
		{"another name", "other.example", &caddymodule.ControlClient{CA: serverCA, Cert: edgeCert, Key: edgeKey}, 503},
		{"another authority", "control.example", &caddymodule.ControlClient{CA: strangerCA, Cert: edgeCert, Key: edgeKey}, 503},
		{"plain HTTP", "", nil, 400}, // the server of net/http says so
		{"TLS unconfigured", "control.example", nil, 503},
		{"plain HTTP, where TLS is configured", "", &caddymodule.ControlClient{CA: serverCA, Cert: edgeCert, Key: edgeKey}, 503},
	} {
		t.Run(tc.name, func(t *testing.T) {
			remote := caddymodule.Remote(t, tc.client, etcdstore.ControlAddress{Address: address, TLSName: tc.tlsName})
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+base+"/api/openapi.json", nil)
			w := httptest.NewRecorder()
			if got := remote(w, r); got != tc.want && (got != 0 || w.Code != tc.want) {
				t.Errorf("it gives %d, %d; want %d", got, w.Code, tc.want)
			}
		})
	}
	// TLS 1.3 tells a client of its refused certificate only when it reads.
	stranger := strangers.Sign(t, "edge")
	pair, err := tls.X509KeyPair(stranger.Cert, stranger.Key)
	if err != nil {
		t.Fatal(err)
	}
	for name, certificates := range map[string][]tls.Certificate{"a stranger": {pair}, "nobody": nil} {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, Certificates: certificates})
		if err == nil {
			io.WriteString(conn, "GET /api/openapi.json HTTP/1.1\r\nHost: "+base+"\r\n\r\n")
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s is answered (%v)", name, err)
		}
	}
}
