package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// The limits of calls to the provider.
const (
	providerLimit  = 10 * time.Second
	providerAnswer = 1 << 20 // bytes
	// providerPause is how long a failed discovery stands for the next ones.
	providerPause = 2 * time.Second
)

// ProviderConfig says which OpenID provider people sign in at. Issuer,
// ClientID, RedirectURL and Now are required.
type ProviderConfig struct {
	Issuer, ClientID string
	SecretFile       string   // of the client's secret; empty for a public client
	Scopes           []string // besides openid
	CA               string   // PEM file of the authority of its certificate; empty: the system's
	RolesClaim       string   // a path of names: realm_access.roles; empty: there are no roles
	RedirectURL      string   // the console's callback
	Now              func() time.Time
}

// Provider is an OpenID provider. It is found when it is needed first, and
// again after failures: one that is down keeps nobody from starting.
type Provider struct {
	ProviderConfig
	client *http.Client
	finder *http.Client // of discovery, and of the keys that it names

	mu       sync.Mutex // held during discovery
	found    *endpoints
	failed   error
	failedAt time.Time
}

// endpoints is what discovery told.
type endpoints struct {
	provider   *oidc.Provider
	verifier   *oidc.IDTokenVerifier // for ID tokens and logout tokens
	access     *oidc.IDTokenVerifier // for access tokens that are JWTs
	userinfo   bool
	endSession string
	auth       oauth2.AuthStyle
}

// NewProvider reads the files that the configuration names; it connects to
// nothing.
func NewProvider(c ProviderConfig) (*Provider, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("read oidc's ca: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read oidc's ca: %s holds no certificate", c.CA)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	bounded := boundedTransport{transport}
	p := &Provider{ProviderConfig: c, client: newClient(bounded)}
	p.finder = newClient(&pacedTransport{RoundTripper: bounded, issuer: c.Issuer})
	_, err := p.secret()
	return p, err
}

func newClient(through http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: through, Timeout: providerLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close ends the connections that are kept.
func (p *Provider) Close() { p.client.CloseIdleConnections() }

// secret is read anew each time, so that it can be changed under way.
func (p *Provider) secret() (string, error) {
	if p.SecretFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(p.SecretFile)
	if err != nil {
		return "", fmt.Errorf("read oidc's client_secret_file: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// boundedTransport bounds what a provider answers.
type boundedTransport struct{ *http.Transport }

func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, providerAnswer), resp.Body}
	}
	return resp, err
}

// context carries our client to the libraries, and ends after the limit.
func (p *Provider) context(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(oidc.ClientContext(ctx, p.client), providerLimit)
}

// discover finds the endpoints, once.
func (p *Provider) discover(ctx context.Context) (*endpoints, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	if p.failed != nil && p.Now().Sub(p.failedAt) < providerPause {
		return nil, p.failed
	}
	// Whoever waits for the same is not to fail because this visitor left.
	ctx, cancel := p.context(context.WithoutCancel(ctx))
	defer cancel()
	found, err := p.fetch(ctx)
	if err != nil {
		p.failed, p.failedAt = p.down(err), p.Now()
		return nil, p.failed
	}
	p.found, p.failed = found, nil
	return found, nil
}

func (p *Provider) fetch(ctx context.Context) (*endpoints, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, p.finder), p.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		EndSession string   `json:"end_session_endpoint"`
		AuthMethod []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := provider.Claims(&more); err != nil {
		return nil, err
	}
	at := provider.Endpoint()
	if at.AuthURL == "" || at.TokenURL == "" {
		return nil, errors.New("it names no authorization or token endpoint")
	}
	// Times are checked here, see checkTimes.
	found := &endpoints{
		provider: provider, userinfo: provider.UserInfoEndpoint() != "", endSession: more.EndSession, auth: oauth2.AuthStyleInHeader,
		verifier: provider.Verifier(&oidc.Config{ClientID: p.ClientID, SkipExpiryCheck: true}),
		access:   provider.Verifier(&oidc.Config{SkipClientIDCheck: true, SkipExpiryCheck: true}),
	}
	if p.SecretFile == "" || len(more.AuthMethod) > 0 && !slices.Contains(more.AuthMethod, "client_secret_basic") {
		found.auth = oauth2.AuthStyleInParams
	}
	return found, nil
}

// forget has the endpoints found anew: what these told has perhaps changed.
func (p *Provider) forget(at *endpoints) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found == at {
		p.found = nil
	}
}

func (p *Provider) oauth(at *endpoints) (*oauth2.Config, error) {
	secret, err := p.secret()
	if err != nil {
		return nil, err
	}
	endpoint := at.provider.Endpoint()
	endpoint.AuthStyle = at.auth
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: secret, Endpoint: endpoint, RedirectURL: p.RedirectURL,
		Scopes: append([]string{oidc.ScopeOpenID}, p.Scopes...),
	}, nil
}

// Login is what a sign-in begins with, and what its end is compared with.
type Login struct {
	State    string
	Nonce    string
	Verifier string // PKCE
}

// AuthURL is where a browser goes to sign in.
func (p *Provider) AuthURL(ctx context.Context, l *Login) (string, error) {
	at, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	config, err := p.oauth(at)
	if err != nil {
		return "", err
	}
	return config.AuthCodeURL(l.State, oidc.Nonce(l.Nonce), oauth2.S256ChallengeOption(l.Verifier)), nil
}

// EndSessionURL is where a browser goes to sign out at the provider, from where
// it comes back; empty if the provider has no such page, or does not answer.
func (p *Provider) EndSessionURL(ctx context.Context, idToken, back, state string) string {
	at, err := p.discover(ctx)
	if err != nil || at.endSession == "" {
		return ""
	}
	u, err := url.Parse(at.endSession)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", p.ClientID)
	q.Set("post_logout_redirect_uri", back)
	q.Set("state", state)
	if idToken != "" {
		q.Set("id_token_hint", idToken)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// down is the error of a provider that does not answer as it should.
func (p *Provider) down(cause error) error {
	e := controlplane.Errorf(controlplane.CodeUnavailable, "the sign-in service %s does not answer", p.Issuer).
		WithHint("try again in a minute; whoever is signed in stays so. If it lasts, an admin compares the setting oidc with <issuer>/.well-known/openid-configuration")
	e.Cause = cause
	return e
}

// ErrEnded is the error of a refresh token that is good no more.
var ErrEnded = errors.New("the provider has ended the session")

// failure is the error of a call to the token endpoint, of which nobody is told
// more than what mends it.
func (p *Provider) failure(at *endpoints, err error, refresh bool) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || refused.ErrorCode == "" {
		p.forget(at)
		return p.down(err)
	}
	var e *controlplane.Error
	switch refused.ErrorCode {
	case "invalid_grant":
		if refresh {
			return fmt.Errorf("%w: %w", ErrEnded, err)
		}
		e = controlplane.Errorf(controlplane.CodeUnauthorized, "the sign-in took too long, or was finished already").WithHint("sign in again")
	case "invalid_client", "unauthorized_client":
		e = controlplane.Errorf(controlplane.CodeUnavailable, "the sign-in service %s does not know this installation", p.Issuer).
			WithHint("an admin compares client ID and client_secret_file of the setting oidc with what the service has")
	default:
		p.forget(at)
		e = controlplane.Errorf(controlplane.CodeUnavailable, "the sign-in service %s refused (%s)", p.Issuer, shownCode(refused.ErrorCode)).
			WithHint("try again; the control plane's log has more")
	}
	e.Cause = err
	return e
}

// shownCode is an error code of RFC 6749 as it may be shown.
func shownCode(code string) string {
	for _, r := range code {
		if (r < 'a' || r > 'z') && r != '_' {
			return "for an unknown reason"
		}
	}
	return code[:min(len(code), 50)]
}

// Refused is the error for what a provider answers instead of a code.
func (p *Provider) Refused(code string) error {
	switch code {
	case "access_denied":
		return controlplane.Errorf(controlplane.CodeForbidden, "the sign-in was denied").
			WithHint("sign in again and agree, or ask an admin of the sign-in service whether you may use this installation")
	case "login_required", "interaction_required", "temporarily_unavailable", "server_error":
		return controlplane.Errorf(controlplane.CodeUnavailable, "the sign-in service could not sign you in (%s)", code).WithHint("sign in again")
	}
	return controlplane.Errorf(controlplane.CodeUnavailable, "the sign-in service refused (%s)", shownCode(code)).
		WithHint("an admin compares the setting oidc with the client that the service has: redirect address, scopes, code flow with PKCE")
}

// claims reads all claims of a token.
func claims(t *oidc.IDToken) (map[string]any, error) {
	var raw json.RawMessage
	if err := t.Claims(&raw); err != nil {
		return nil, err
	}
	all := map[string]any{}
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	return all, nil
}
