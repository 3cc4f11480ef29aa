// Package bench measures the real binary, beside Caddy's own reverse_proxy in
// the same run where that says more than a figure alone. It asserts nothing:
//
//	go test -run '^$' -bench . ./test/bench
//
// A benchmark takes its rounds by itself, whatever -benchtime; -count repeats
// it. The proxy that is measured has the first CPU for itself where there are
// two, and GOMAXPROCS=1; load, apps and etcd have the others.
package bench

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" {
		os.Exit(m.Run()) // nothing is measured, so nothing is built
	}
	os.Exit(slipwaytest.Main(func() int {
		if err := pin(os.Getpid(), others()); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			return 1
		}
		return m.Run()
	}))
}
