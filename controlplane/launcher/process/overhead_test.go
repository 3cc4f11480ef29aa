//go:build linux

package process

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/probe"
)

// BenchmarkStart measures from Start to the fact that it is ready.
func BenchmarkStart(b *testing.B) {
	l := openLauncher(b, b.TempDir())
	defer l.Close(context.Background(), true, 0)
	facts := l.Observe(b.Context())
	g := int64(0)
	for b.Loop() {
		g++
		if err := l.Start(b.Context(), workload("one", g, launchertest.Serves)); err != nil {
			b.Fatal(err)
		}
		for f := range facts {
			if f.Generation == g && f.State == launcher.Ready {
				break
			}
		}
		b.StopTimer()
		if err := l.Stop(b.Context(), "one", g, 0); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkRecord measures one durable record; a start makes three before its
// process is probed.
func BenchmarkRecord(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		if err := writeState(dir, 1, state{Generation: 1, Run: &runState{Nonce: "x"}}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBareStart measures from fork to a connection, for comparison.
func BenchmarkBareStart(b *testing.B) {
	p := newPorts()
	for b.Loop() {
		port, err := p.pick()
		if err != nil {
			b.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], "sample-app")
		cmd.Env = []string{portVariable(port), launchertest.EnvBehaviour + "=" + string(launchertest.Serves)}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		address := "127.0.0.1:" + portVariable(port)[len("PORT="):]
		for probe.Connect(b.Context(), address) != nil {
			time.Sleep(200 * time.Microsecond)
		}
		b.StopTimer()
		cmd.Process.Kill()
		cmd.Wait()
		b.StartTimer()
	}
}
