// Command routes fills the route table of a running `slipway up` for a
// benchmark: N instances in DOMAIN mode that all answer at one endpoint. It
// writes what the control plane would write for them, and a file of targets,
// one "host path" a line.
//
//	go run ./test/bench/routes -data .slipway -n 10000 -endpoint 127.0.0.1:9000 -targets targets.txt
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/test/bench/fill"
)

func main() {
	etcd := flag.String("etcd", "", "etcd's endpoint, e.g. unix:///run/user/0/slipway-…/etcd.sock; default: the only one of a slipway up on this machine")
	n := flag.Int("n", 1, "routes")
	endpoint := flag.String("endpoint", "127.0.0.1:9000", "where all of them answer")
	targets := flag.String("targets", "targets.txt", "file to write")
	base := flag.String("base", "localhost", "base domain")
	flag.Parse()
	if err := run(*etcd, *n, *endpoint, *targets, *base); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(etcd string, n int, endpoint, targets, base string) error {
	if etcd == "" {
		found, err := filepath.Glob(filepath.Join(os.TempDir(), "slipway-*", "etcd.sock"))
		if err != nil || len(found) != 1 {
			return errors.New("find etcd: there is not one slipway up; give -etcd")
		}
		etcd = "unix://" + found[0]
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{etcd}})
	if err != nil {
		return err
	}
	defer client.Close()
	f, err := os.Create(targets)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriter(f)
	if err := fill.Instances(context.Background(), client, n, endpoint); err != nil {
		return err
	}
	for i := range n {
		fmt.Fprintf(out, "%s.%s /\n", fill.ID(i), base)
	}
	return out.Flush()
}
