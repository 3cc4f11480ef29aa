package oidctest

import (
	"cmp"
	"context"
	"crypto/rsa"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Config is how a provider starts. The zero value is good.
type Config struct {
	Client // the first client; AddClient adds others

	// RolesIn is where roles and groups appear; [Everywhere] by default.
	RolesIn Place

	// RefreshAlways gives a refresh token without the scope offline_access
	// too, as Keycloak does.
	RefreshAlways bool

	// ReuseRefresh leaves a refresh token valid when it is used, as Keycloak
	// does by default. Otherwise each is good for one use, and a second use
	// ends every token of that sign-in (RFC 9700 §4.14.2).
	ReuseRefresh bool

	// TokenLifetime is how long ID and access tokens are valid; 5 min by default.
	TokenLifetime time.Duration

	// ES256 signs with it instead of RS256.
	ES256 bool
}

// Provider is an OpenID provider. Its methods may be called at any time, by
// any goroutine.
type Provider struct {
	t       testing.TB
	config  Config
	issuer  string
	address string
	handler http.Handler
	engine  *engine

	serving sync.Mutex // held while the server starts or stops
	server  *httptest.Server
	cancel  context.CancelFunc // ends what requests wait for

	foreignKey func() (signingKey, error) // one that is never published
	rsaKeys    []*rsa.PrivateKey          // all that it has used; of spare's mutex

	mu       sync.Mutex // of all below
	clients  map[string]*Client
	users    map[string]*user    // by name
	sessions map[string]*session // by cookie; ended ones stay
	requests map[string]*request // by ID
	keys     []signingKey        // the last one signs
	faults   faults
	counts   Counts
}

// Start runs a provider on a free port of 127.0.0.1 until the test ends. Its
// issuer is a URL with http.
func Start(t testing.TB, config Config) *Provider {
	t.Helper()
	config.TokenLifetime = cmp.Or(config.TokenLifetime, 5*time.Minute)
	config.RolesIn = cmp.Or(config.RolesIn, Everywhere)
	p := &Provider{
		t: t, config: config, clients: map[string]*Client{}, users: map[string]*user{}, sessions: map[string]*session{},
		requests: map[string]*request{},
	}
	var err error
	if p.engine, err = startEngine(); err != nil {
		t.Fatalf("start provider: %v", err)
	}
	t.Cleanup(func() {
		p.halt()
		p.engine.stop(t)
		p.giveBack()
	})
	p.foreignKey = sync.OnceValues(p.newKey)
	p.config.Client = *p.AddClient(config.Client)
	p.RotateKeys(true)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start provider: %v", err)
	}
	p.address = listener.Addr().String()
	p.issuer = "http://" + p.address
	p.handler = p.disturbed(p.edited(p.routes()))
	p.serving.Lock()
	p.serve(listener)
	p.serving.Unlock()
	return p
}

// Issuer is the provider's address and name, without a slash at the end.
func (p *Provider) Issuer() string { return p.issuer }

// serve answers on a listener until halt. It needs p.serving.
func (p *Provider) serve(listener net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.server = &httptest.Server{Listener: listener, Config: &http.Server{
		Handler:     p.handler,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}}
	p.server.Start()
}

// halt closes the port and waits for the last request. A second one does nothing.
func (p *Provider) halt() {
	p.serving.Lock()
	defer p.serving.Unlock()
	if p.server != nil {
		p.cancel()
		p.server.CloseClientConnections()
		p.server.Close()
		p.server = nil
	}
}

// listen opens the port again, unless it is open.
func (p *Provider) listen() error {
	p.serving.Lock()
	defer p.serving.Unlock()
	if p.server != nil {
		return nil
	}
	listener, err := net.Listen("tcp", p.address)
	if err == nil {
		p.serve(listener)
	}
	return err
}
