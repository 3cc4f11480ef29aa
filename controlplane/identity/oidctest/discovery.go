package oidctest

import (
	"encoding/json"
	"net/http"
)

// Where the provider answers.
const (
	discoveryPath  = "/.well-known/openid-configuration"
	authorizePath  = "/authorize"
	tokenPath      = "/oauth/token"
	introspectPath = "/oauth/introspect"
	revokePath     = "/revoke"
	userinfoPath   = "/userinfo"
	keysPath       = "/keys"
	endSessionPath = "/end_session"
	loginPath      = "/login"
	goodbyePath    = "/goodbye"
)

func (p *Provider) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+discoveryPath, p.showDiscovery)
	mux.HandleFunc("GET "+keysPath, p.showKeys)
	mux.HandleFunc("GET "+authorizePath, p.authorize)
	mux.HandleFunc("POST "+authorizePath, p.authorize)
	mux.HandleFunc("GET "+loginPath, p.showLogin)
	mux.HandleFunc("POST "+loginPath, p.takeLogin)
	mux.HandleFunc("POST "+tokenPath, p.passed("token"))
	mux.HandleFunc("POST "+introspectPath, p.passed("introspect"))
	mux.HandleFunc("POST "+revokePath, p.passed("revoke"))
	mux.HandleFunc("GET "+userinfoPath, p.passed("userinfo"))
	mux.HandleFunc("POST "+userinfoPath, p.passed("userinfo"))
	mux.HandleFunc("GET "+endSessionPath, p.endSession)
	mux.HandleFunc("POST "+endSessionPath, p.endSession)
	mux.HandleFunc("GET "+goodbyePath, showGoodbye)
	return mux
}

// showDiscovery answers as OpenID Connect Discovery 1.0 §4.2 has it.
func (p *Provider) showDiscovery(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	alg := p.keys[len(p.keys)-1].alg
	p.mu.Unlock()
	writeJSON(w, map[string]any{
		"issuer":                                p.issuer,
		"authorization_endpoint":                p.issuer + authorizePath,
		"token_endpoint":                        p.issuer + tokenPath,
		"introspection_endpoint":                p.issuer + introspectPath,
		"revocation_endpoint":                   p.issuer + revokePath,
		"userinfo_endpoint":                     p.issuer + userinfoPath,
		"end_session_endpoint":                  p.issuer + endSessionPath,
		"jwks_uri":                              p.issuer + keysPath,
		"scopes_supported":                      []string{"openid", "profile", "email", "roles", "groups", "offline_access"},
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              []string{"query"},
		"grant_types_supported":                 []string{"authorization_code", "refresh_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []any{alg},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post", "none"},
		"code_challenge_methods_supported":      []string{"S256"},
		"prompt_values_supported":               []string{"none", "login", "select_account"},
		"claims_supported": []string{
			"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "sid", "preferred_username", "name", "email", "email_verified",
		},
		"backchannel_logout_supported":         true,
		"backchannel_logout_session_supported": true,
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone
}
