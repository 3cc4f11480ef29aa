package oidctest

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// logoutEvent is the member of events that makes a token a logout token
// (OpenID Connect Back-Channel Logout 1.0 §2.4).
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// Logout changes a logout token. The zero value leaves it good: it names the
// user and the session that the user began last, and expires after 2 minutes.
type Logout struct {
	ClientID  string         // aud; the first client by default
	Claims    map[string]any // replace claims, add them, or remove those that are nil
	Type      string         // typ of the header; "logout+jwt" by default
	Signature Signature
	Client    *http.Client // sends it; one that follows no redirect and waits 10 s by default
}

// LogoutToken makes a logout token for a user.
func (p *Provider) LogoutToken(t testing.TB, username string, with Logout) string {
	t.Helper()
	p.mu.Lock()
	u, s := p.users[username], p.lastSession(username)
	now := time.Now().Add(p.faults.skew)
	p.mu.Unlock()
	if u == nil {
		t.Fatalf("the provider has no user %q", username)
	}
	claims := map[string]any{
		"iss": p.issuer, "sub": u.Subject, "aud": cmp.Or(with.ClientID, p.config.ClientID), "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "events": map[string]any{logoutEvent: struct{}{}},
	}
	if s != nil {
		claims["sid"] = s.id
	}
	maps.Copy(claims, with.Claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	token, err := p.sign(claims, cmp.Or(with.Type, "logout+jwt"), with.Signature)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// BackChannelLogout posts a logout token to a client's address and returns its
// answer, with a body that need not be closed. It ends no session here: see
// EndSession.
func (p *Provider) BackChannelLogout(t testing.TB, username, uri string, with Logout) *http.Response {
	t.Helper()
	client := with.Client
	if client == nil {
		client = &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       10 * time.Second,
		}
	}
	form := url.Values{"logout_token": {p.LogoutToken(t, username, with)}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, uri, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatalf("send logout: %v", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("send logout: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read answer to logout: %v", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp
}

// endSession ends the session that the id_token_hint is of, or that of the
// browser if there is no hint, and sends the browser on (OpenID Connect
// RP-Initiated Logout 1.0). Nobody is asked to confirm.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var hint map[string]any
	if token := r.Form.Get("id_token_hint"); token != "" {
		if hint = p.readHint(token); hint == nil {
			show(w, http.StatusBadRequest, content{Title: "Sign out", Fault: "The id_token_hint is not of this provider."})
			return
		}
	}
	to, ok := p.afterLogout(r.Form, hint)
	if !ok {
		show(w, http.StatusBadRequest, content{Title: "Sign out", Fault: "The post_logout_redirect_uri is not one of the client's."})
		return
	}
	cookie := p.cookie(r)
	p.mu.Lock()
	for _, s := range p.sessions {
		if hint == nil && s.cookie == cookie || hint != nil && s.id == hint["sid"] {
			s.ended = true
		}
	}
	p.mu.Unlock()
	http.Redirect(w, r, to, http.StatusFound)
}

// afterLogout is where end_session leads, if that is allowed to the client,
// which names itself or is the audience of the hint.
func (p *Provider) afterLogout(form url.Values, hint map[string]any) (string, bool) {
	wanted := form.Get("post_logout_redirect_uri")
	if wanted == "" {
		return p.issuer + goodbyePath, true
	}
	id := form.Get("client_id")
	if audience, _ := hint["aud"].([]any); id == "" && len(audience) > 0 {
		id, _ = audience[0].(string)
	}
	p.mu.Lock()
	c := p.clients[id]
	allowed := c != nil && slices.Contains(c.LogoutURIs, wanted)
	p.mu.Unlock()
	to, err := url.Parse(wanted)
	if !allowed || err != nil {
		return "", false
	}
	if state := form.Get("state"); state != "" {
		query := to.Query()
		query.Set("state", state)
		to.RawQuery = query.Encode()
	}
	return to.String(), true
}
