package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	_ "github.com/caddyserver/caddy/v2/modules/standard" // what the configuration names

	_ "github.com/seed-dbc68772/slipway/caddymodule/controlmodule" // the control plane and its launchers

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/cmd/slipway/cli"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/embedded"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/routing"
)

// startLimit is how long everything may take to answer.
const startLimit = 30 * time.Second

// Run starts everything, prints where it is and serves until ctx ends, or TERM
// or an interrupt comes. A second signal ends the process at once; the next
// run then goes on from what is there.
func Run(ctx context.Context, o Options) (err error) {
	// Whoever read the output may leave, as tee does at Ctrl-C: that must not
	// end this process before its instances. Ignoring the signal would hand
	// that on to the instances.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	r, err := prepare(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if warning := exposed(o.Listen, r.site); warning != "" {
		fmt.Fprintf(os.Stderr, "warning: %s\n", warning)
	}
	if err := r.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped while it started
		}
		return err
	}
	select {
	case <-ctx.Done():
		stop() // from here a signal has its usual effect
		if !o.Quiet {
			fmt.Fprintln(o.Out, "stopping; instances start again with the next slipway up")
		}
		return nil
	case err := <-r.etcd.Err():
		return fail(err, "the store has ended").WithHint("%s", r.mend(err))
	}
}

// run is one `slipway up`.
type run struct {
	Options
	paths
	app       *caddymodule.App
	site      *routing.Site
	token     string
	etcd      *embedded.Server
	stopLocal func() // ends that stores ask etcd without a connection
	caddy     bool   // was started
	unlock    func()
	log       io.Closer
}

// prepare checks everything that can be checked before something is started.
func prepare(o Options) (r *run, err error) {
	if err := checkListen(o.Listen); err != nil {
		return nil, err
	}
	r = &run{Options: o}
	if r.app, err = readSettings(o.Config); err != nil {
		return nil, err
	}
	r.app.BaseURL = baseURL(o.BaseURL, r.app.BaseURL, o.Listen)
	r.site, err = routing.NewSite(routing.SiteConfig{BaseURL: r.app.BaseURL, ConsoleHost: r.app.ConsoleHost})
	if err != nil {
		return nil, usage("the base URL cannot be used: %v", err).WithHint("for example --base-url http://localhost:8080")
	}
	if err := checkReach(o.Listen, r.site); err != nil {
		return nil, err
	}
	if r.data, err = filepath.Abs(o.Data); err != nil {
		return nil, fail(err, "cannot find the data folder %s", o.Data)
	}
	if r.unlock, err = lockFolder(r.data); err != nil {
		return nil, err
	}
	if r.sockets, err = socketFolder(r.data); err != nil {
		r.unlock()
		return nil, err
	}
	if err := r.makeSecretKeys(); err != nil {
		r.unlock()
		return nil, err
	}
	if r.app.ControlPlaneRaw, err = controlPlane(r.app.ControlPlaneRaw, r.paths); err != nil {
		r.unlock()
		return nil, usage("the settings of the control plane cannot be read: %v", err)
	}
	return r, nil
}

func (r *run) start(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, errors.New("it did not answer in time"))
	defer cancel()
	log, err := r.openLog()
	if err != nil {
		return err
	}
	r.etcd, err = embedded.Start(ctx, embedded.Config{DataDir: filepath.Join(r.data, "etcd"), SocketDir: r.sockets, Log: log})
	if err != nil {
		return fail(err, "the store does not start").WithHint("%s", r.mend(err))
	}
	r.app.Etcd.Endpoints = []string{r.etcd.Endpoint()}
	r.stopLocal = etcdstore.Local(r.etcd.Endpoint(), r.etcd.KV())
	if err := r.adminToken(ctx, log); err != nil {
		return err
	}
	r.caddy = true
	// Until Caddy has its own log file, its default logger writes to stderr.
	_, original, _ := caddy.BufferedLog()
	defer caddy.UnbufferDefaultLogger(original)
	if err := caddy.Run(caddyConfig(r.app, r.Listen, r.paths)); err != nil {
		return fail(err, "the edge does not start").WithHint("look into %s", r.logFile())
	}
	if err := r.awaitReady(ctx); err != nil {
		return fail(context.Cause(ctx), "the edge is not ready").WithHint("look into %s", r.logFile())
	}
	sampleURL := ""
	if !r.NoSample && hasProcesses(r.app.ControlPlaneRaw) {
		// The sample is a guest: what is wrong with it stops nobody's work.
		if sampleURL, err = r.sample(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "warning: the sample app does not start: %v\n", err)
		}
	}
	r.greet(ctx, sampleURL)
	return nil
}

func (r *run) logFile() string { return filepath.Join(r.data, "slipway.log") }

// openLog makes the log of what runs before Caddy's own logger, in its file.
func (r *run) openLog() (*zap.Logger, error) {
	f, err := os.OpenFile(r.logFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fail(err, "cannot write the log").WithHint("%s", r.mend(err))
	}
	r.log = f
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(f), zap.InfoLevel)
	return zap.New(core, lastWords{r, os.Stderr, os.Exit}.options()...), nil
}

// adminToken writes the command line's context. A token that is still good is
// kept, so that what was given to a script goes on working.
func (r *run) adminToken(ctx context.Context, log *zap.Logger) error {
	store, err := etcdstore.Open(etcdstore.Config{Endpoints: r.app.Etcd.Endpoints, Log: log})
	if err != nil {
		return err
	}
	defer store.Close()
	path := filepath.Join(r.data, "cli.toml")
	if err := controlplane.EnsureLocalAdmin(ctx, store, time.Now); err != nil {
		return fail(err, "cannot store the admin")
	}
	// The folder is locked: whoever led in this store before was killed.
	if err := store.Vacate(ctx); err != nil {
		return fail(err, "cannot take the lead")
	}
	// The store is this folder's, and so are the instances: in a copy, or in what a
	// backup gave back, those of the first folder are not looked for.
	if ownProcesses(r.app.ControlPlaneRaw, r.data) {
		if err := store.ForgetPlaces(ctx); err != nil {
			return fail(err, "cannot take the lead")
		}
	}
	if old, err := cli.ReadLocalContext(path); err == nil {
		r.token = old.Token
	}
	_, err = store.Update(ctx, func(tx controlplane.Tx) error {
		switch old, err := tx.Token(identity.HashToken(r.token)); {
		case err == nil && isAdminToken(old):
			return nil
		case err != nil && controlplane.CodeOf(err) != controlplane.CodeNotFound:
			return err
		}
		r.token = identity.NewToken()
		return tx.Put(&controlplane.Token{
			Hash: identity.HashToken(r.token), ID: identity.NewID(), User: controlplane.LocalAdmin, Name: "slipway up",
			Scopes: controlplane.Scopes, CreatedAt: time.Now().UTC(),
		})
	})
	if err != nil {
		return fail(err, "cannot store the admin's token")
	}
	if err := cli.WriteContext(path, r.site.Origin(), r.token); err != nil {
		return fail(err, "cannot write %s", path).WithHint("%s", r.mend(err))
	}
	return nil
}

// isAdminToken reports whether a token is what this program needs. The file
// may hold another since somebody signed in with fewer scopes, or for a while.
func isAdminToken(t *controlplane.Token) bool {
	for _, scope := range controlplane.Scopes {
		if !slices.Contains(t.Scopes, scope) {
			return false
		}
	}
	return t.User == controlplane.LocalAdmin && t.ExpiresAt.IsZero()
}

// local is a client whose every connection goes to this process, whatever the
// base URL's host resolves to.
func (r *run) local() *http.Client {
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", r.Listen)
	}, DisableKeepAlives: true}
	return &http.Client{Transport: t}
}

// localURL is a base URL that local reaches this process by.
func (r *run) localURL() string { return "http://" + r.site.BaseDomain() }

func (r *run) awaitReady(ctx context.Context) error {
	for h := r.local(); ; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.localURL()+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := h.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *run) api() (*client.Client, error) {
	return client.New(client.Config{Endpoint: r.localURL(), Token: r.token, HTTP: r.local()})
}

// consoleLine is where the console is: without a provider as a link that signs
// in.
func (r *run) consoleLine(ctx context.Context) string {
	line, err := r.signInLink(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "warning: no link to sign in with: %v\n", err)
	}
	if line == "" {
		return r.site.ConsoleURL()
	}
	return line
}

// signInLink is empty where a provider signs people in.
func (r *run) signInLink(ctx context.Context) (string, error) {
	api, err := r.api()
	if err != nil {
		return "", err
	}
	info, err := api.LoginInfo(ctx)
	if err != nil || info.Provider != nil {
		return "", err
	}
	link, err := api.LoginLink(ctx)
	if err != nil {
		return "", err
	}
	within := time.Until(link.ExpiresAt).Round(time.Second)
	return fmt.Sprintf("%s  (once, within %.0f s; slipway login --link gives another)", link.URL, within.Seconds()), nil
}

func (r *run) greet(ctx context.Context, sampleURL string) {
	if !r.Quiet {
		fmt.Fprintf(r.Out, "data in %s; Ctrl-C stops everything\n\n", r.data)
		fmt.Fprintf(r.Out, "  Console     %s\n", r.consoleLine(ctx))
		if sampleURL != "" {
			fmt.Fprintf(r.Out, "  Sample app  %s\n", sampleURL)
		}
		fmt.Fprintf(r.Out, "  API         %s/api/v1/  (token in %s)\n\n", r.site.Origin(), filepath.Join(r.data, "cli.toml"))
		if folder := keptOut(r.data); folder != "" {
			fmt.Fprintf(r.Out, "Apps run as root: users of their own cannot enter %[1]s. To allow it: chmod o+x %[1]s, and start again.\n\n", folder)
		}
	}
	fmt.Fprintln(r.Out, "ready")
}

// close stops what was started, in the order that loses nothing: the edge and
// the control plane with its instances first, then the store.
func (r *run) close() error {
	var err error
	if r.caddy {
		err = caddy.Stop()
	}
	if r.etcd != nil {
		r.stopLocal()
		r.etcd.Close()
	}
	err = errors.Join(err, os.RemoveAll(r.sockets))
	if r.log != nil {
		err = errors.Join(err, r.log.Close())
	}
	r.unlock()
	return err
}
