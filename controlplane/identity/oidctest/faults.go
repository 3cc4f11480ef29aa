package oidctest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"
)

// Outage is how a provider is down.
type Outage int

// The outages.
const (
	Unavailable Outage = iota + 1 // every endpoint answers 503
	Refused                       // the port is closed: connections are cut (a client may see EOF), new ones refused
)

// faults are what the provider does wrong.
type faults struct {
	unavailable bool
	skew, delay time.Duration
	edit        func(map[string]any)
	omit        []string
	signature   Signature
}

// Down takes the provider down until Up. Keys, sessions and tokens survive.
func (p *Provider) Down(how Outage) {
	if how == Refused {
		p.halt()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.unavailable = true
}

// Up ends every outage. After Refused the port is the same. A program that took
// it meanwhile, as a connection from it may, is waited for, up to 10 s.
func (p *Provider) Up() {
	p.mu.Lock()
	p.faults.unavailable = false
	p.mu.Unlock()
	var err error
	for range 100 {
		if err = p.listen(); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.t.Errorf("open the provider's port again: %v", err)
}

// Slow delays every answer by d; 0 ends that.
func (p *Provider) Slow(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.delay = d
}

// Skew puts the provider's clock ahead by d, or behind if that is negative:
// iat, exp and auth_time of the tokens that it issues from now on.
func (p *Provider) Skew(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.skew = d
}

// TokenLifetime changes how long ID and access tokens issued from now on are
// valid: 1 s or more. For one that has expired there is Skew.
func (p *Provider) TokenLifetime(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.config.TokenLifetime = d
}

// Omit leaves claims out of ID tokens from now on, instead of those of an
// earlier call. They stay in access tokens and userinfo.
func (p *Provider) Omit(claims ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.omit = claims
}

// EditIDTokens lets f change the claims of every ID token before it is signed;
// nil ends that. Numbers are float64. f must not call the provider.
func (p *Provider) EditIDTokens(f func(claims map[string]any)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.edit = f
}

// SignIDTokens changes how ID tokens are signed from now on.
func (p *Provider) SignIDTokens(how Signature) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.signature = how
}

// disturbed counts requests, delays them, and answers them while the provider
// is unavailable.
func (p *Provider) disturbed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refresh := r.URL.Path == tokenPath && r.PostFormValue("grant_type") == "refresh_token"
		p.mu.Lock()
		p.counts.add(r.URL.Path, refresh)
		now := p.faults
		p.mu.Unlock()
		if now.delay > 0 {
			timer := time.NewTimer(now.delay)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-r.Context().Done(): // nobody waits, or the test is over
			}
		}
		if now.unavailable {
			http.Error(w, "the provider is down", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// edited replaces the ID tokens of answers by spoilt ones. The engine cannot
// make those.
func (p *Provider) edited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		now := p.faults
		p.mu.Unlock()
		if r.URL.Path != tokenPath || now.edit == nil && len(now.omit) == 0 && now.signature == Signed {
			next.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		body, err := p.spoil(answer.Body.Bytes(), now)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		w.Write(body)
	})
}

// spoil changes the ID token in an answer of the token endpoint, if it has one.
func (p *Provider) spoil(body []byte, now faults) ([]byte, error) {
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("read answer to change its ID token: %w", err)
	}
	token, ok := answer["id_token"].(string)
	if !ok {
		return body, nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		return nil, fmt.Errorf("read ID token: %w", err)
	}
	var claims map[string]any
	if err := json.NewDecoder(bytes.NewReader(payload)).Decode(&claims); err != nil {
		return nil, fmt.Errorf("read ID token: %w", err)
	}
	if now.edit != nil {
		now.edit(claims)
	}
	maps.DeleteFunc(claims, func(name string, _ any) bool { return slices.Contains(now.omit, name) })
	if answer["id_token"], err = p.sign(claims, "JWT", now.signature); err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}
