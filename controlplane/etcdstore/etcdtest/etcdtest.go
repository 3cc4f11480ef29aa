// Package etcdtest gives tests a real etcd. The server is one for all tests of
// a package, the prefix is each test's own.
package etcdtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/embedded"
)

// Server is an etcd whose data outlives a Stop.
type Server struct {
	dir    string
	server *embedded.Server
}

var (
	mu     sync.Mutex
	shared *Server
	tests  atomic.Int64
)

// Main is the TestMain of a package that uses this one: it ends the shared
// server and fails where goroutines are left.
func Main(m *testing.M) {
	code := m.Run()
	mu.Lock()
	if shared != nil {
		shared.Stop()
		os.RemoveAll(shared.dir)
	}
	mu.Unlock()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// New makes a server of the test's own, not started.
func New(t testing.TB) *Server {
	t.Helper()
	s, err := newServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		os.RemoveAll(s.dir)
	})
	return s
}

// newServer takes a folder whose path is short, as sockets need it: that of
// t.TempDir holds the test's name.
func newServer() (*Server, error) {
	dir, err := os.MkdirTemp("", "etcd")
	return &Server{dir: dir}, err
}

// Start starts it, again after a Stop.
func (s *Server) Start(ctx context.Context) (err error) {
	s.server, err = embedded.Start(ctx, embedded.Config{DataDir: filepath.Join(s.dir, "data"), SocketDir: s.dir})
	return err
}

// Stop stops it, if it runs.
func (s *Server) Stop() {
	if s.server != nil {
		s.server.Close()
		s.server = nil
	}
}

// Backup copies the data of a stopped server. The function that it returns
// restores it, on the server stopped again.
func (s *Server) Backup(t testing.TB) (restore func()) {
	t.Helper()
	data, copied := filepath.Join(s.dir, "data"), filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(copied, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := errors.Join(os.RemoveAll(data), os.CopyFS(data, os.DirFS(copied))); err != nil {
			t.Fatal(err)
		}
	}
}

// Move gives the data of a stopped server to another one, which clients of this
// one do not reach.
func (s *Server) Move(t testing.TB, to *Server) {
	t.Helper()
	if err := os.Rename(filepath.Join(s.dir, "data"), filepath.Join(to.dir, "data")); err != nil {
		t.Fatal(err)
	}
}

// Yield lets another server answer at the endpoint of this one, which is
// stopped.
func (s *Server) Yield(t testing.TB, to *Server) {
	t.Helper()
	own, other := strings.TrimPrefix(s.Endpoint(), "unix://"), strings.TrimPrefix(to.Endpoint(), "unix://")
	if err := os.Remove(own); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.Symlink(other, own); err != nil {
		t.Fatal(err)
	}
}

// Endpoint is where clients reach it, running or not.
func (s *Server) Endpoint() string { return "unix://" + filepath.Join(s.dir, "etcd.sock") }

// Open opens a store with the test's own prefix, and closes it in the end.
func (s *Server) Open(t testing.TB) *etcdstore.Store {
	t.Helper()
	store, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{s.Endpoint()}, Prefix: Prefix(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// Client opens etcd's own client, and closes it in the end.
func (s *Server) Client(t testing.TB) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{s.Endpoint()}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// Shared is the server that all tests of the package use.
func Shared(t testing.TB) *Server {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	if shared == nil {
		s, err := newServer()
		if err == nil {
			err = s.Start(context.Background())
		}
		if err != nil {
			t.Fatal(err)
		}
		shared = s
	}
	return shared
}

var prefixes sync.Map // test name → prefix

// Prefix is the prefix of the test's keys in every store that it opens.
func Prefix(t testing.TB) string {
	p, known := prefixes.LoadOrStore(t.Name(), fmt.Sprintf("/test-%d/", tests.Add(1)))
	if !known {
		t.Cleanup(func() { prefixes.Delete(t.Name()) })
	}
	return p.(string)
}
