package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// wakes is how often an instance is woken, and how often its program is started
// by hand.
const wakes = 200

// BenchmarkWake wakes an instance by a visit, puts it to sleep by the API, and
// so on: the time from the moment when the app's port is open, of which the app
// tells, to the first byte at the visitor (Slipway's share), and from the visit
// to that byte. In turns with it the same program is started by hand: the time
// from its start to its open port. The app listens at once, or after 0.3 s, as
// one in Python does.
//
// The edge is in the process of the control plane and its etcd (`slipway up`), or
// a process of its own. All share the CPUs.
func BenchmarkWake(b *testing.B) {
	for _, c := range []struct {
		name  string
		house func(*testing.B) *wakeHouse
	}{{"edge=up", newUp}, {"edge=own", newWakeFleet}} {
		for _, delay := range []time.Duration{0, 300 * time.Millisecond} {
			b.Run(fmt.Sprintf("%s/delay=%s", c.name, delay), func(b *testing.B) {
				everywhere(b)
				measureWakes(b, c.house(b), delay)
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func measureWakes(b *testing.B, h *wakeHouse, delay time.Duration) {
	b.Helper()
	env := map[string]string{"START_DELAY": delay.String()}
	id := h.run(b, slipwaytest.App{Name: "sleeper", Env: env})
	host := id + "." + h.base
	var bare, share, visits []time.Duration
	for range wakes {
		bare = append(bare, startByHand(b, env))
		h.sleep(b, id)
		w := firstByte(b, h.edge, host)
		share = append(share, w.at.Sub(w.listening))
		visits = append(visits, w.at.Sub(w.began))
	}
	b.ReportMetric(percentile(visits, 0.5)/percentile(bare, 0.5), "visit/bare")
	b.ReportMetric(percentile(bare, 0.5), "bare-p50-ms")
	for name, of := range map[string][]time.Duration{"share": share, "visit": visits} {
		b.ReportMetric(percentile(of, 0.5), name+"-p50-ms")
		b.ReportMetric(percentile(of, 0.99), name+"-p99-ms")
	}
}

// everywhere lets this process, and what it starts, use all CPUs for a while.
func everywhere(b *testing.B) {
	b.Helper()
	if err := pin(os.Getpid(), append(measured(), others()...)); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := pin(os.Getpid(), others()); err != nil {
			b.Error(err)
		}
	})
}

// wakeHouse is a control plane with a process launcher, and the edge of the
// visits.
type wakeHouse struct {
	api  *client.Client
	edge string // host:port
	base string // its base domain
}

// newUp is a `slipway up`.
func newUp(b *testing.B) *wakeHouse {
	b.Helper()
	dir, err := os.MkdirTemp(slipwaytest.RuntimeDir, "")
	if err != nil {
		b.Fatal(err)
	}
	address := "127.0.0.1:" + slipwaytest.FreePort(b)
	data := filepath.Join(dir, "data")
	p := slipwaytest.Start(b, append(processors(), "XDG_RUNTIME_DIR="+dir), "up", "--no-sample", "--listen", address, "--data", data)
	b.Cleanup(func() {
		p.Kill()
		slipwaytest.KillApps(data)
		os.RemoveAll(dir)
	})
	p.AwaitReady(b)
	return &wakeHouse{api: slipwaytest.Client(b, filepath.Join(data, "cli.toml")), edge: address, base: "localhost"}
}

// newWakeFleet is an etcd in this process, a control plane, and an edge.
func newWakeFleet(b *testing.B) *wakeHouse {
	b.Helper()
	s := newStore(b, 0, "")
	db, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{s.endpoint}})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	token := etcdtest.Admin(b, db)
	data, err := os.MkdirTemp(slipwaytest.RuntimeDir, "")
	if err != nil {
		b.Fatal(err)
	}
	control := newProxy(b, "control", fmt.Sprintf(`slipway {
		base_url http://%s
		etcd %s
		edge_name control
		control_plane 127.0.0.1:%s
		blobs %[4]s/bundles
		launcher process {
			data %[4]s/processes
		}
	}`, base, s.endpoint, slipwaytest.FreePort(b), data), "slipway")
	edge := newEdge(b, "edge", s.endpoint)
	b.Cleanup(func() { // before their folders go
		control.Kill()
		slipwaytest.KillApps(data)
		os.RemoveAll(data)
	})
	for _, p := range []*proxy{control, edge} {
		p.Process = slipwaytest.RunCaddyfile(b, p.dir, append(processors(), "XDG_RUNTIME_DIR="+p.dir))
		p.awaitTarget(b, base, "/readyz")
	}
	_, port, _ := net.SplitHostPort(control.address)
	api, err := client.New(client.Config{
		Endpoint: "http://" + net.JoinHostPort(base, port), Token: token, HTTP: &http.Client{Transport: client.LoopbackTransport()},
	})
	if err != nil {
		b.Fatal(err)
	}
	return &wakeHouse{api: api, edge: edge.address, base: base}
}

// processors is the environment of what may use all CPUs.
func processors() []string {
	return append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", runtime.NumCPU()))
}

// run imports an app and starts a PUBLIC instance of it.
func (h *wakeHouse) run(b *testing.B, app slipwaytest.App) (id string) {
	b.Helper()
	imported, err := h.api.ImportBundle(b.Context(), client.Import{Archive: bytes.NewReader(app.Bundle(b)), Visibility: "PUBLIC"})
	if err != nil {
		b.Fatal(err)
	}
	public := "PUBLIC"
	in, err := h.api.Run(b.Context(), v1.RunRequest{AppID: imported.ID, Visibility: &public})
	if err != nil {
		b.Fatal(err)
	}
	h.await(b, in.ID, "DEPLOYED")
	return in.ID
}

func (h *wakeHouse) sleep(b *testing.B, id string) {
	b.Helper()
	if _, err := h.api.Suspend(b.Context(), id); err != nil {
		b.Fatal(err)
	}
	h.await(b, id, "SUSPENDED")
}

func (h *wakeHouse) await(b *testing.B, id, status string) {
	b.Helper()
	slipwaytest.Eventually(b, id+" is "+status, func() bool {
		in, err := h.api.Instance(b.Context(), id)
		if err != nil {
			b.Fatal(err)
		}
		return in.Status == status
	})
}

// seen is what one visitor saw.
type seen struct {
	began     time.Time
	at        time.Time // of the first byte
	listening time.Time // since when the app's port was open, by its own account
}

// firstByte visits an app for tests over a connection of its own.
func firstByte(b *testing.B, address, host string) (s seen) {
	b.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	s.began = time.Now()
	if _, err := conn.Write(requestFor(host)); err != nil {
		b.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if _, err := in.Peek(1); err != nil {
		b.Fatal(err)
	}
	s.at = time.Now()
	a, err := http.ReadResponse(in, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		b.Fatalf("%s: %v, %.200s", a.Status, err, body)
	}
	var told struct {
		Listening int64 `json:"listening_ns"`
	}
	if err := json.Unmarshal(body, &told); err != nil {
		b.Fatal(err)
	}
	s.listening = time.Unix(0, told.Listening)
	return s
}

// startByHand starts the app for tests and returns how long it took to open its
// port.
func startByHand(b *testing.B, env map[string]string) time.Duration {
	b.Helper()
	port := slipwaytest.FreePort(b)
	all := []string{"PORT=" + port}
	for name, value := range env {
		all = append(all, name+"="+value)
	}
	p := slipwaytest.StartProgram(b, slipwaytest.Testapp, all)
	defer p.Kill()
	address := "127.0.0.1:" + port
	slipwaytest.Eventually(b, "the app by hand answers", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return firstByte(b, address, "localhost").listening.Sub(p.Began)
}

// percentile is in milliseconds.
func percentile(of []time.Duration, share float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return float64(sorted[int(share*float64(len(sorted)-1))].Microseconds()) / 1000
}
