package embedded_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/embedded"
)

// folder is one whose path is short, as sockets need it.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func start(t *testing.T, data, sockets string) (*embedded.Server, *clientv3.Client) {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Config{DataDir: data, SocketDir: sockets})
	if err != nil {
		t.Fatal(err)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	return server, client
}

func TestDataOutlivesTheServer(t *testing.T) {
	data, sockets := filepath.Join(t.TempDir(), "made", "by", "it"), folder(t)
	server, client := start(t, data, sockets)
	if _, err := client.Put(t.Context(), "a", "1"); err != nil {
		t.Fatal(err)
	}
	client.Close()
	server.Close()
	// What a killed server leaves.
	for _, name := range []string{"etcd.sock", "peer.sock"} {
		l, err := net.Listen("unix", filepath.Join(sockets, name))
		if err != nil {
			t.Fatal(err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		l.Close()
	}
	server, client = start(t, data, sockets)
	defer server.Close()
	defer client.Close()
	resp, err := client.Get(t.Context(), "a")
	if err != nil || len(resp.Kvs) != 1 || string(resp.Kvs[0].Value) != "1" {
		t.Errorf("got %v, %v", resp, err)
	}
	select {
	case err := <-server.Err():
		t.Errorf("the server ended by itself: %v", err)
	default:
	}
}

func TestNobodyElseEntersTheData(t *testing.T) {
	data, sockets := filepath.Join(t.TempDir(), "data"), folder(t)
	server, client := start(t, data, sockets)
	defer server.Close()
	defer client.Close()
	info, err := os.Stat(data)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestStartErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	full := folder(t) // a folder that cannot be removed where the socket goes
	if err := os.MkdirAll(filepath.Join(full, "etcd.sock", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config embedded.Config
		says   string
	}{
		"socket folder too long":     {embedded.Config{DataDir: t.TempDir(), SocketDir: "/" + strings.Repeat("a", 98)}, "too long"},
		"socket folder not there":    {embedded.Config{DataDir: t.TempDir(), SocketDir: "/nowhere"}, "start etcd: "},
		"socket cannot be removed":   {embedded.Config{DataDir: t.TempDir(), SocketDir: full}, "etcd.sock"},
		"data folder is a file":      {embedded.Config{DataDir: file, SocketDir: folder(t)}, "start etcd: "},
		"data folder below a device": {embedded.Config{DataDir: "/dev/null/data", SocketDir: folder(t)}, "start etcd: "},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			server, err := embedded.Start(ctx, c.config)
			if err == nil {
				server.Close()
				t.Fatal("it starts")
			}
			if !strings.HasPrefix(err.Error(), "start etcd: ") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %q, want it to say %q", err, c.says)
			}
		})
	}
}

// TestSocketsAreItsFolder has both sockets below the folder: one elsewhere would
// be for whoever is in the network namespace, and could not be closed where the
// working folder is on a file system that is only read.
func TestSocketsAreItsFolder(t *testing.T) {
	sockets := folder(t)
	server, client := start(t, t.TempDir(), sockets)
	client.Close()
	for _, name := range []string{"etcd.sock", "peer.sock"} {
		if info, err := os.Stat(filepath.Join(sockets, name)); err != nil || info.Mode()&os.ModeSocket == 0 {
			t.Errorf("%s is no socket: %v", name, err)
		}
	}
	server.Close()
	if left, err := os.ReadDir(sockets); err != nil || len(left) > 0 {
		t.Errorf("after its end there are %v, %v", left, err)
	}
}
