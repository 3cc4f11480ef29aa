package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// BenchmarkListCommands is the command line that lists 10,000 apps, or as many
// instances, of a `slipway up`: the whole process, from its start to its end,
// with its output piped. "slipway version" is what such a process costs at
// least. Server-cpu-ms is what `slipway up` used meanwhile. The commands are run
// in turns; figures are medians, and wall-min-ms is the best round, which is
// the one that others disturbed least. All share all CPUs.
func BenchmarkListCommands(b *testing.B) {
	const n, rounds = 10_000, 15
	all := make([]int, runtime.NumCPU())
	for i := range all {
		all[i] = i
	}
	if err := pin(os.Getpid(), all); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = pin(os.Getpid(), others()) }()
	dir, err := os.MkdirTemp("", "lists") // a socket's path is short
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	data := filepath.Join(dir, "data")
	env := append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "HOME="+dir, "SLIPWAY_CONFIG="+filepath.Join(data, "cli.toml"))
	server := slipwaytest.Start(b, env, "up", "--no-sample", "--listen", "127.0.0.1:"+slipwaytest.FreePort(b), "--data", data)
	defer server.Kill()
	server.AwaitReady(b)
	fillLists(b, dir, n)

	lines := []string{"version", "app list -a", "app list -a -o json", "instance list -a", "instance list -a -o json"}
	wall, own, servers := make([][]float64, len(lines)), make([][]float64, len(lines)), make([][]float64, len(lines))
	for round := range rounds + 1 {
		for i, line := range lines {
			command := exec.CommandContext(b.Context(), slipwaytest.Binary, strings.Fields(line)...)
			var out bytes.Buffer
			command.Env, command.Stdout, command.Stderr = env, &out, os.Stderr
			before, begin := cpu(b, server.PID), time.Now()
			if err := command.Run(); err != nil {
				b.Fatal(line, err)
			}
			took := time.Since(begin)
			if strings.Contains(line, "list") && strings.Count(out.String(), "\n") < n {
				b.Fatal(line, "lists too little")
			}
			if round == 0 {
				continue // what the server reads the first time
			}
			wall[i] = append(wall[i], took.Seconds()*1000)
			own[i] = append(own[i], (command.ProcessState.UserTime()+command.ProcessState.SystemTime()).Seconds()*1000)
			servers[i] = append(servers[i], (cpu(b, server.PID)-before).Seconds()*1000)
		}
	}
	for i, line := range lines {
		b.Run(strings.ReplaceAll(line, " ", "_"), func(b *testing.B) {
			b.ReportMetric(median(wall[i]), "wall-ms") // sorts
			b.ReportMetric(wall[i][0], "wall-min-ms")
			b.ReportMetric(median(own[i]), "cpu-ms")
			b.ReportMetric(median(servers[i]), "server-cpu-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// fillLists writes n apps and n instances that sleep, as the control plane would.
func fillLists(b *testing.B, sockets string, n int) {
	b.Helper()
	found, err := filepath.Glob(filepath.Join(sockets, "slipway-*", "etcd.sock"))
	if err != nil || len(found) != 1 {
		b.Fatal("etcd's sockets are", found, err)
	}
	store, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{"unix://" + found[0]}})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	now := time.Now().UTC()
	for from := 0; from < n; from += 8 {
		_, err := store.Update(ctx, func(tx controlplane.Tx) error {
			for i := from; i < min(from+8, n); i++ {
				app := &controlplane.App{
					ID: uuid.NewString(), Name: fmt.Sprintf("ai.h2o.app-%d", i), Version: "1.2.3", Title: fmt.Sprintf("App %d", i*7919%n),
					Description: strings.Repeat("It shows what is there. ", 4), Owner: []string{"ada", "bob"}[i%2], Visibility: controlplane.AllUsers,
					Tags: []string{}, Lifecycle: controlplane.OnDemand, RoutingMode: controlplane.Domain, AppMode: controlplane.Python,
					Bundle: strings.Repeat("0", 64), CreatedAt: now, UpdatedAt: now,
				}
				app.Manifest = controlplane.Manifest{
					Name: app.Name, Version: app.Version, Title: app.Title, Description: app.Description, Lifecycle: app.Lifecycle,
					Runtime: controlplane.Runtime{AppMode: app.AppMode, Module: "app", MemoryLimit: "2Gi", MemoryReservation: "512Mi"},
				}
				in := &controlplane.Instance{
					ID: uuid.NewString(), AppID: app.ID, AppName: app.Name, AppVersion: app.Version, Owner: app.Owner, Visibility: controlplane.AllUsers,
					Status: controlplane.Suspended, RoutingMode: controlplane.Domain, Launcher: "process", Generation: 1,
					LastActive: now, CreatedAt: now, UpdatedAt: now,
				}
				for _, record := range []any{app, in} {
					if err := tx.Put(record); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
