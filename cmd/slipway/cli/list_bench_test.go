package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// BenchmarkLists is what the command line itself does to list 10,000 apps, and
// as many instances, of a server that has its answers ready. CPU-ms is the
// process's, the sending of the answers included.
func BenchmarkLists(b *testing.B) {
	const n, limit = 10_000, 1000
	pages := map[string][][]byte{}
	for from := 0; from < n; from += limit {
		var next *string
		if from+limit < n {
			next = new(strconv.Itoa(from/limit + 1))
		}
		apps, instances := v1.List[v1.App]{NextCursor: next, Revision: "1"}, v1.List[v1.Instance]{NextCursor: next, Revision: "1"}
		for i := from; i < from+limit; i++ {
			app := v1.App{
				ID: uuid.NewString(), Name: fmt.Sprintf("ai.h2o.app-%d", i), Version: "1.2.3", Title: fmt.Sprintf("App %d", i*7919%n),
				Description: strings.Repeat("It shows what is there. ", 4), Owner: "ada", Visibility: "ALL_USERS", Tags: []string{}, Categories: []string{},
				Lifecycle: "ON_DEMAND", RoutingMode: "DOMAIN", AppMode: "python", Runnable: true, Reasons: []v1.Reason{}, CreatedAt: fakeTime, UpdatedAt: fakeTime,
			}
			id := uuid.NewString()
			apps.Items = append(apps.Items, app)
			instances.Items = append(instances.Items, v1.Instance{
				ID: id, AppID: app.ID, AppName: app.Name, AppVersion: app.Version, Owner: "ada", Visibility: "ALL_USERS", Status: "SUSPENDED",
				URL: "https://" + id + ".apps.example.com/", RoutingMode: "DOMAIN", Launcher: "process", LastActive: &fakeTime, Wake: "visitors",
				Suspendable: true, CreatedAt: fakeTime, UpdatedAt: fakeTime,
			})
		}
		for path, list := range map[string]any{"/api/v1/apps": apps, "/api/v1/instances": instances} {
			body, err := json.Marshal(list)
			if err != nil {
				b.Fatal(err)
			}
			pages[path] = append(pages[path], body)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		all := pages[r.URL.Path]
		w.Header().Set("Content-Type", "application/json")
		if page+1 < len(all) {
			w.Header().Set("Link", fmt.Sprintf(`<%s?cursor=%d>; rel="next"`, r.URL.Path, page+1))
		}
		_, _ = w.Write(all[page])
	}))
	defer server.Close()
	environment := map[string]string{"SLIPWAY_ENDPOINT": server.URL, "SLIPWAY_TOKEN": "slw_x", "HOME": b.TempDir()}
	for _, line := range []string{"app list -a", "app list -a -o json", "instance list -a", "instance list -a -o json"} {
		b.Run(strings.ReplaceAll(line, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			begin := cpuTime(b)
			for b.Loop() {
				world := IO{Out: io.Discard, Err: b.Output(), Env: func(name string) string { return environment[name] }, Dir: environment["HOME"]}
				if code := Run(b.Context(), strings.Fields(line), world); code != ExitDone {
					b.Fatal("exit code", code)
				}
			}
			b.ReportMetric(float64((cpuTime(b)-begin).Microseconds())/1000/float64(b.N), "CPU-ms/op")
		})
	}
}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
