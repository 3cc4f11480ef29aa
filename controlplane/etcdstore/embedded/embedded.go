// Package embedded runs etcd's server inside this process, for installations
// of one machine. It is the only importer of etcd's server: its code ends the
// process on a full disk, which an edge among others must not.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
)

// maxSocketPath is what the kernel takes for the path of a unix socket.
const maxSocketPath = 107

// Config says where the server keeps its data and its sockets.
type Config struct {
	DataDir   string // created if missing
	SocketDir string // a short path that only this user may enter (mode 0700)
	Log       *zap.Logger
}

// Server is a running etcd of one member.
type Server struct {
	etcd     *embed.Etcd
	endpoint string
}

// Start runs a server and returns when it serves.
func Start(ctx context.Context, c Config) (*Server, error) {
	client := filepath.Join(c.SocketDir, "etcd.sock")
	peer := filepath.Join(c.SocketDir, "peer.sock")
	if len(client) > maxSocketPath || len(peer) > maxSocketPath {
		return nil, fmt.Errorf("start etcd: the socket folder %s is too long: %d bytes are the limit of such paths", c.SocketDir, maxSocketPath)
	}
	// A socket file of a server that was killed stays and would be "in use".
	for _, path := range []string{client, peer} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("start etcd: %w", err)
		}
	}
	cfg := embed.NewConfig()
	cfg.Name = "slipway"
	cfg.Dir = c.DataDir
	cfg.ListenClientUrls = []url.URL{{Scheme: "unix", Path: client}}
	cfg.AdvertiseClientUrls = cfg.ListenClientUrls
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "unix", Path: peer}}
	// Of these etcd listens on the host alone. Without one it is a socket of the
	// network namespace, whoever is in it, and where the working folder cannot be
	// written etcd fails to close it and never ends.
	cfg.ListenPeerUrls = []url.URL{{Scheme: "unix", Host: peer}}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.EnableGRPCGateway = false
	// One member elects itself: a short time-out only makes it start sooner.
	cfg.TickMs, cfg.ElectionMs = 20, 100
	// Without compaction the history grows until the quota stops all writes.
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "periodic", "1h"
	cfg.QuotaBackendBytes = 2 << 30
	// An idle feed learns of the store's progress, or it falls behind compaction.
	cfg.WatchProgressNotifyInterval = time.Minute
	log := c.Log
	if log == nil {
		log = zap.NewNop()
	}
	if log.Level() < zap.WarnLevel { // zap complains of an increase that is none
		log = log.WithOptions(zap.IncreaseLevel(zap.WarnLevel))
	}
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(log.Named("etcd"))

	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	select {
	case <-e.Server.ReadyNotify():
		return &Server{etcd: e, endpoint: "unix://" + client}, nil
	case err := <-e.Err():
		e.Close()
		return nil, fmt.Errorf("start etcd: %w", err)
	case <-ctx.Done():
		e.Close()
		return nil, fmt.Errorf("start etcd: %w", ctx.Err())
	}
}

// Endpoint is where clients reach it.
func (s *Server) Endpoint() string { return s.endpoint }

// KV is the server's without a connection, see etcdstore.Local.
func (s *Server) KV() clientv3.KV { return v3client.New(s.etcd.Server).KV }

// Err tells when the server has ended by itself.
func (s *Server) Err() <-chan error { return s.etcd.Err() }

// Close stops the server and returns when its data is on disk.
func (s *Server) Close() { s.etcd.Close() }
