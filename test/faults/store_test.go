package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/embedded"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// etcdFolder is the variable that makes this test binary an etcd, in a process
// that can be killed and frozen.
const etcdFolder = "SLIPWAY_FAULTS_ETCD"

func serveEtcd(dir string) int {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	server, err := embedded.Start(context.Background(), embedded.Config{DataDir: filepath.Join(dir, "data"), SocketDir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	<-stop
	server.Close()
	return 0
}

// store is an etcd of one member, and its client that no fault touches.
type store struct {
	*slipwaytest.Process

	t      *testing.T
	dir    string
	client *clientv3.Client
}

func newStore(t *testing.T) *store {
	t.Helper()
	dir, err := os.MkdirTemp(slipwaytest.RuntimeDir, "etcd")
	if err != nil {
		t.Fatal(err)
	}
	s := &store{t: t, dir: dir}
	t.Cleanup(func() {
		if s.client != nil {
			s.client.Close()
		}
		if s.Kill(); t.Failed() {
			t.Log(s.Tail())
		}
		os.RemoveAll(dir)
	})
	s.start()
	return s
}

func (s *store) socket() string { return filepath.Join(s.dir, "etcd.sock") }

func (s *store) endpoint() string { return "unix://" + s.socket() }

func (s *store) start() {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.Process = slipwaytest.StartProgram(s.t, self, append(os.Environ(), etcdFolder+"="+s.dir))
	eventually(s.t, "etcd listens", func() bool {
		conn, err := net.Dial("unix", s.socket())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	// A client of before would wait up to two minutes until it tries again.
	if s.client != nil {
		s.client.Close()
	}
	if s.client, err = clientv3.New(clientv3.Config{Endpoints: []string{s.endpoint()}, Logger: zap.NewNop()}); err != nil {
		s.t.Fatal(err)
	}
}

// backup copies the data of a stopped store; restore brings it back.
func (s *store) backup() (restore func()) {
	s.t.Helper()
	data, copied := filepath.Join(s.dir, "data"), filepath.Join(s.t.TempDir(), "data")
	if err := os.CopyFS(copied, os.DirFS(data)); err != nil {
		s.t.Fatal(err)
	}
	return func() {
		s.t.Helper()
		if err := errors.Join(os.RemoveAll(data), os.CopyFS(data, os.DirFS(copied))); err != nil {
			s.t.Fatal(err)
		}
	}
}

// write puts and deletes (value "") keys below the prefix, 128 in a transaction
// as etcd takes them.
func (s *store) write(pairs ...[2]string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*patience)
	defer cancel()
	for len(pairs) > 0 {
		n := min(len(pairs), 128)
		ops := make([]clientv3.Op, n)
		for i, pair := range pairs[:n] {
			key := etcdstore.DefaultPrefix + pair[0]
			if ops[i] = clientv3.OpPut(key, pair[1]); pair[1] == "" {
				ops[i] = clientv3.OpDelete(key)
			}
		}
		if _, err := s.client.Txn(ctx).Then(ops...).Commit(); err != nil {
			s.t.Fatal(err)
		}
		pairs = pairs[n:]
	}
}

// id is the n-th instance's.
func id(n int) string { return fmt.Sprintf("%08x-1111-4222-8333-444444444444", n) }

func host(n int) string { return id(n) + ".localhost" }

// running and sleeping are routes as the control plane writes them; they have
// no record, so that none touches them.
func running(n int, endpoint string) [2]string { return route(n, "DEPLOYED", endpoint, "") }

func sleeping(n int) [2]string { return route(n, "SUSPENDED", "", "") }

func route(n int, status, endpoint, owner string) [2]string {
	return [2]string{"routes/instance/" + id(n), fmt.Sprintf(`{"v":1,"app":"00000000-0000-4000-8000-000000000000",`+
		`"mode":"DOMAIN","status":%q,"endpoint":%q,"generation":1,"visibility":"PUBLIC","owner":%q,"wake":"visitors"}`, status, endpoint, owner)}
}
