package etcdstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// DefaultPrefix is the prefix of all keys unless configured otherwise.
const DefaultPrefix = "/slipway/v1/"

// Config says where etcd is.
type Config struct {
	Endpoints []string // https://host:port, http://host:port or unix:///path
	CA        string   // PEM file of the authority; empty: the system's
	Cert, Key string   // PEM files of the client certificate; empty: none
	Username  string   // of etcd's own authentication; empty: none
	// PasswordFile holds the password of Username, perhaps with a line break
	// at its end.
	PasswordFile string
	Prefix       string // of all keys, default DefaultPrefix
	ListPage     int    // keys that a response to a list of a feed may have, default 50,000
	Log          *zap.Logger
}

// Store is a controlplane.Store in etcd.
type Store struct {
	client *clientv3.Client
	prefix string
	page   int64
	log    *zap.Logger
	fence  *fence        // of a leader's store
	recent *recent       // of a leader's store
	lists  *remembered   // what lists have read
	turn   chan struct{} // who has lost an update holds it until it is made
}

var _ controlplane.Store = (*Store)(nil)

// callTimeout ends a call to etcd that has no deadline of its own. It is
// longer than an election, so that a new leader is waited for.
const callTimeout = 10 * time.Second

// Open makes a store. It reaches for etcd in the background, now and whenever it
// is away.
func Open(c Config) (*Store, error) {
	if len(c.Endpoints) == 0 {
		return nil, errors.New("open store: no etcd endpoint given")
	}
	tlsConfig, err := c.tls()
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	password, err := c.password()
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	log := c.Log
	if log == nil {
		log = zap.NewNop()
	}
	clientLog := log.Named("etcd-client")
	if log.Level() < zap.WarnLevel { // zap complains of an increase that is none
		clientLog = clientLog.WithOptions(zap.IncreaseLevel(zap.WarnLevel))
	}
	lists := newRemembered()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: c.Endpoints,
		TLS:       tlsConfig,
		Username:  c.Username,
		Password:  password,
		// Half-open connections are noticed within 15 s.
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		// gRPC's own back-off grows to two minutes, in which a store that is
		// back would not be noticed.
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}), grpc.WithStatsHandler(lists)},
		Logger: clientLog,
	})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if kv, ok := localKV(c.Endpoints); ok {
		client.KV = kv
	}
	prefix := c.Prefix
	if prefix == "" {
		prefix = DefaultPrefix
	}
	page := int64(c.ListPage)
	if page <= 0 {
		page = listPage
	}
	return &Store{client: client, prefix: strings.TrimSuffix(prefix, "/") + "/", page: page, log: log, turn: make(chan struct{}, 1), lists: lists}, nil
}

func (c Config) tls() (*tls.Config, error) {
	if c.CA == "" && c.Cert == "" {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("read etcd ca: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read etcd ca: %s holds no certificate", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("read etcd client certificate: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// Prefix is the prefix of all keys; it ends with a slash.
func (s *Store) Prefix() string { return s.prefix }

func (c Config) password() (string, error) {
	if c.Username == "" {
		return "", nil
	}
	raw, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("read etcd password: %w", err)
	}
	password := strings.TrimRight(string(raw), "\r\n")
	if password == "" {
		return "", fmt.Errorf("read etcd password: %s is empty", c.PasswordFile)
	}
	return password, nil
}

// Close ends the connection. Feeds must have ended before.
func (s *Store) Close() error { return s.client.Close() }

// storeError turns an error of the client into one that users may see.
func storeError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*controlplane.Error](err); ok {
		return err
	}
	if errors.Is(err, rpctypes.ErrPermissionDenied) || errors.Is(err, rpctypes.ErrAuthFailed) {
		return &controlplane.Error{
			Code:  controlplane.CodeInternal,
			What:  "the store refuses this to the etcd user of this process",
			Hint:  "docs/etcd.md has the rights that it needs",
			Cause: err,
		}
	}
	if tooLarge(err) {
		return &controlplane.Error{
			Code:  controlplane.CodeTooLarge,
			What:  "this is more than the store takes at once",
			Hint:  "give it fewer or shorter texts; large files belong into the bundle",
			Cause: err,
		}
	}
	if errors.Is(err, rpctypes.ErrNoSpace) {
		return &controlplane.Error{
			Code:  controlplane.CodeUnavailable,
			What:  "the store is full and takes nothing more",
			Hint:  "etcd has reached its quota; docs/etcd.md has what to do",
			Cause: err,
		}
	}
	return &controlplane.Error{
		Code:  controlplane.CodeUnavailable,
		What:  "the store does not answer",
		Hint:  "nothing was changed, unless the answer itself was lost; look at the state, then try again",
		Cause: err,
	}
}

// tooLarge reports a request that etcd, or the client before it, did not take for
// its size: nothing was written.
func tooLarge(err error) bool {
	if errors.Is(err, rpctypes.ErrRequestTooLarge) {
		return true
	}
	// The client's own limit has no error of its own.
	s, ok := status.FromError(err)
	return ok && s.Code() == codes.ResourceExhausted && strings.Contains(s.Message(), "larger than max")
}

func withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, callTimeout)
}
