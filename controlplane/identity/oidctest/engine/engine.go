package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/token/jwt"
)

// engine is fosite, and the world of the question that it answers.
type engine struct {
	world    world
	config   *fosite.Config
	provider fosite.OAuth2Provider
}

func newEngine() (*engine, error) {
	e := &engine{config: &fosite.Config{
		EnforcePKCE:          true, // and S256 alone, by default
		RefreshTokenLifespan: -1,   // for ever
		GlobalSecret:         make([]byte, 32),
		ClientSecretsHasher:  plain{},
		JWTScopeClaimKey:     jwt.JWTScopeFieldString,
		// Tests run on loopback, with any scope, and with as short a state as they like.
		RedirectSecureChecker: func(context.Context, *url.URL) bool { return true },
		ScopeStrategy:         func([]string, string) bool { return true },
		MinParameterEntropy:   1,
	}}
	if _, err := rand.Read(e.config.GlobalSecret); err != nil {
		return nil, err
	}
	jwt.TimeFunc = func() time.Time { return time.Now().Add(e.world.Skew) }
	signer := &signer{engine: e, DefaultSigner: &jwt.DefaultSigner{GetPrivateKey: e.signingKey}}
	tokens := compose.NewOAuth2JWTStrategy(e.signingKey, compose.NewOAuth2HMACStrategy(e.config), e.config)
	tokens.Signer = signer
	e.provider = compose.Compose(e.config, newStore(e),
		&compose.CommonStrategy{
			CoreStrategy:               &strategy{engine: e, CoreStrategy: tokens},
			OpenIDConnectTokenStrategy: &openid.DefaultStrategy{Signer: signer, Config: e.config},
			Signer:                     signer,
		},
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2RefreshTokenGrantFactory,
		compose.OpenIDConnectExplicitFactory, compose.OpenIDConnectRefreshFactory,
		compose.OAuth2TokenIntrospectionFactory, compose.OAuth2TokenRevocationFactory,
		compose.OAuth2PKCEFactory)
	return e, nil
}

// answer does what a question says.
func (e *engine) answer(q question) (answer, error) {
	e.world = q.World
	e.config.IDTokenIssuer, e.config.AccessTokenIssuer = q.World.Issuer, q.World.Issuer
	e.config.AccessTokenLifespan, e.config.IDTokenLifespan = q.World.Lifetime, q.World.Lifetime
	e.config.RefreshTokenScopes = []string{"offline_access"}
	if q.World.RefreshAlways {
		e.config.RefreshTokenScopes = []string{}
	}
	do, ok := map[string]func(http.ResponseWriter, *http.Request, question){
		"check": e.check, "grant": e.grant, "refuse": e.refuse,
		"token": e.token, "userinfo": e.userinfo, "introspect": e.introspect, "revoke": e.revoke,
	}[q.Do]
	if !ok {
		return answer{}, errors.New("there is no such question")
	}
	r, err := request(q)
	if err != nil {
		return answer{}, fmt.Errorf("make request: %w", err)
	}
	w := httptest.NewRecorder()
	w.Code = 0
	do(w, r, q)
	return answer{Status: w.Code, Header: w.Header(), Body: w.Body.String()}, nil
}

func request(q question) (*http.Request, error) {
	method, body := q.Method, q.Body
	if q.Form != "" {
		method, body = http.MethodPost, q.Form
	}
	r, err := http.NewRequest(method, q.World.Issuer, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if q.Authorization != "" {
		r.Header.Set("Authorization", q.Authorization)
	}
	return r, nil
}

// asked reads what a client asks for, and answers if something is wrong with it.
func (e *engine) asked(w http.ResponseWriter, r *http.Request) (fosite.AuthorizeRequester, bool) {
	ar, err := e.provider.NewAuthorizeRequest(r.Context(), r)
	// On loopback fosite takes a URI with any port (RFC 8252 §7.3), which is for
	// programs without a server.
	if err == nil && !slices.Contains(ar.GetClient().GetRedirectURIs(), r.Form.Get("redirect_uri")) {
		ar = fosite.NewAuthorizeRequest()
		err = fosite.ErrInvalidRequest.WithHint("The redirect URI is not one of the client's.")
	}
	if err != nil {
		e.provider.WriteAuthorizeError(r.Context(), w, ar, err)
		return nil, false
	}
	return ar, true
}

func (e *engine) check(w http.ResponseWriter, r *http.Request, _ question) { e.asked(w, r) }

// grant gives the client a code.
func (e *engine) grant(w http.ResponseWriter, r *http.Request, q question) {
	ar, ok := e.asked(w, r)
	if !ok {
		return
	}
	for _, scope := range ar.GetRequestedScopes() {
		ar.GrantScope(scope)
	}
	ar.GrantAudience(ar.GetClient().GetID())
	s := newSession()
	s.Login = q.Session
	known, alive := e.login(s)
	if !alive {
		e.provider.WriteAuthorizeError(r.Context(), w, ar, fosite.ErrLoginRequired)
		return
	}
	s.fill(known, nil, 0)
	s.Claims.AuthTime, s.Claims.RequestedAt = known.AuthTime, q.Asked
	resp, err := e.provider.NewAuthorizeResponse(r.Context(), ar, s)
	if err != nil {
		e.provider.WriteAuthorizeError(r.Context(), w, ar, err)
		return
	}
	e.provider.WriteAuthorizeResponse(r.Context(), w, ar, resp)
}

// refuse tells the client that the user would have to be asked.
func (e *engine) refuse(w http.ResponseWriter, r *http.Request, _ question) {
	if ar, ok := e.asked(w, r); ok {
		e.provider.WriteAuthorizeError(r.Context(), w, ar, fosite.ErrLoginRequired)
	}
}

// token makes tokens of a code or a refresh token, if their session is alive:
// nothing is used up before that is known.
func (e *engine) token(w http.ResponseWriter, r *http.Request, _ question) {
	ar, err := e.provider.NewAccessRequest(r.Context(), r, newSession())
	if err != nil {
		e.provider.WriteAccessError(r.Context(), w, ar, err)
		return
	}
	s := ar.GetSession().(*session)
	known, alive := e.login(s)
	if !alive {
		e.provider.WriteAccessError(r.Context(), w, ar, fosite.ErrInvalidGrant.WithHint("The session has ended."))
		return
	}
	// Those of a code are granted only later: all that it was asked for with.
	s.fill(known, ar.GetRequestedScopes(), e.world.RolesIn)
	resp, err := e.provider.NewAccessResponse(r.Context(), ar)
	if err != nil {
		e.provider.WriteAccessError(r.Context(), w, ar, err)
		return
	}
	e.provider.WriteAccessResponse(r.Context(), w, ar, resp)
}

func (e *engine) userinfo(w http.ResponseWriter, r *http.Request, _ question) {
	use, ar, err := e.provider.IntrospectToken(r.Context(), fosite.AccessTokenFromRequest(r), fosite.AccessToken, newSession())
	if err == nil && use == fosite.AccessToken {
		if known, alive := e.login(ar.GetSession().(*session)); alive {
			claims := known.claims(ar.GetGrantedScopes(), e.world.RolesIn&inUserinfo != 0)
			claims["sub"] = known.User.Subject
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(claims) // a buffer takes all
			return
		}
	}
	w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	http.Error(w, "the access token has ended, or is none", http.StatusUnauthorized)
}

func (e *engine) introspect(w http.ResponseWriter, r *http.Request, _ question) {
	found, err := e.provider.NewIntrospectionRequest(r.Context(), r, newSession())
	if err != nil {
		e.provider.WriteIntrospectionError(r.Context(), w, err)
		return
	}
	if _, alive := e.login(found.GetAccessRequester().GetSession().(*session)); !alive {
		found = &fosite.IntrospectionResponse{}
	}
	e.provider.WriteIntrospectionResponse(r.Context(), w, found)
}

func (e *engine) revoke(w http.ResponseWriter, r *http.Request, _ question) {
	e.provider.WriteRevocationResponse(r.Context(), w, e.provider.NewRevocationRequest(r.Context(), r))
}
