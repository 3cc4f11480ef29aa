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

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
)

func main() {
	etcd := flag.String("etcd", "", "etcd's endpoint, e.g. unix:///run/user/0/slipway-…/etcd.sock; default: the only one of a slipway up on this machine")
	n := flag.Int("n", 1, "routes")
	endpoint := flag.String("endpoint", "127.0.0.1:9000", "where all of them answer")
	targets := flag.String("targets", "targets.txt", "file to write")
	base := flag.String("base", "localhost", "base domain")
	flag.Parse()
	if err := fill(*etcd, *n, *endpoint, *targets, *base); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func fill(etcd string, n int, endpoint, targets, base string) error {
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
	const batch = 128 // operations that a transaction takes
	for from := 0; from < n; from += batch {
		var puts []clientv3.Op
		for i := from; i < min(n, from+batch); i++ {
			puts = append(puts, clientv3.OpPut(etcdstore.DefaultPrefix+"routes/instance/"+id(i), route(endpoint)))
		}
		if _, err := client.Txn(context.Background()).Then(puts...).Commit(); err != nil {
			return err
		}
	}
	for i := range n {
		fmt.Fprintf(out, "%s.%s /\n", id(i), base)
	}
	return out.Flush()
}

func id(i int) string { return fmt.Sprintf("%08x-1111-4222-8333-444444444444", i) }

// route is the projection of a running instance. It has no record, so that no
// control plane touches it.
func route(endpoint string) string {
	return fmt.Sprintf(`{"v":1,"app":"00000000-0000-4000-8000-000000000000","mode":"DOMAIN","status":"DEPLOYED",`+
		`"endpoint":%q,"generation":1,"visibility":"PUBLIC","owner":"bench","wake":"visitors"}`, endpoint)
}
