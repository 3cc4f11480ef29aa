package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

// keyed is a house that issues passes.
func keyed(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	keys, err := identity.NewKeyring(t.Context(), h.store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	h.service.Passes = keys
	return h
}

// token makes one of another's, with these scopes.
func (h *house) token(of string, scopes ...string) string {
	h.Helper()
	body, err := json.Marshal(v1.TokenRequest{Name: "test", Scopes: scopes})
	if err != nil {
		h.Fatal(err)
	}
	return decode[v1.NewToken](h, h.call("POST", "/api/v1/tokens", of, string(body)), http.StatusCreated).Secret
}

// Each operation is for tokens of one scope.
func TestEveryOperationNeedsItsScope(t *testing.T) {
	h := keyed(t)
	tokens := map[string]string{"read": h.token(h.admin, "read"), "write": h.token(h.admin, "write"), "open": h.token(h.admin, "open")}
	free := []string{"GET /api/v1/me", "POST /api/v1/logout", "DELETE /api/v1/tokens/{id}"}
	for _, op := range operations(t) {
		method, path, _ := strings.Cut(op, " ")
		path = strings.NewReplacer("{id}", uuid.NewString(), "{alias}", "nobody", "{name}", "nobody", "{n}", "1", "{digest}", strings.Repeat("0", 64)).Replace(path)
		want := map[string]bool{"read": method == "GET", "write": true}
		switch {
		case op == "POST /api/v1/instances/{id}/ticket":
			want = map[string]bool{"open": true}
		case op == "POST /api/v1/explain":
			want["read"] = true
		case slices.Contains(free, op), carriesItsOwn[op]:
			continue
		}
		for scope, token := range tokens {
			a := h.call(method, path, token, "")
			refused := a.StatusCode == http.StatusForbidden && strings.Contains(a.body, "lacks the scope") &&
				!strings.Contains(a.body, `the scope \"admin\"`) // which is said to admins once the operation looks
			if refused == want[scope] {
				t.Errorf("%s with the scope %s: %d %s", op, scope, a.StatusCode, a.body)
			}
		}
	}
	for scope, token := range tokens {
		if me := decode[v1.Me](h, h.call("GET", "/api/v1/me", token, ""), 200); me.Admin || !slices.Contains(me.Scopes, scope) || me.ExpiresAt == nil {
			t.Errorf("%s: %+v", scope, me)
		}
		if scope != "write" {
			h.problem(h.call("DELETE", "/api/v1/tokens/"+uuid.NewString(), token, ""), 403)
			h.problem(h.call("POST", "/api/v1/logout", token, `{"everywhere":true}`), 403)
		}
		if a := h.call("DELETE", "/api/v1/tokens/current", token, ""); a.StatusCode != http.StatusNoContent {
			t.Errorf("%s: ends itself: %d %s", scope, a.StatusCode, a.body)
		}
		h.problem(h.call("GET", "/api/v1/me", token, ""), 401)
	}
}

func TestTokensOverTheAPI(t *testing.T) {
	h := keyed(t)
	first := h.token(h.user, "read", "write")
	list := decode[v1.List[v1.Token]](h, h.call("GET", "/api/v1/tokens", first, ""), 200)
	current := slices.IndexFunc(list.Items, func(token v1.Token) bool { return token.Current })
	if len(list.Items) != 2 || current < 0 || list.Items[current].Name != "test" || list.Items[current].ExpiresAt == nil || strings.Contains(fmt.Sprint(list), "slw_") {
		t.Fatalf("list %+v", list)
	}
	for body, status := range map[string]int{
		`{"name":"x","scopes":["admin"]}`: 403, `{"name":"x","scopes":["open"]}`: 403, `{"name":"x","scopes":["x"]}`: 422, `{"name":"x","scopes":["read"],"expires_in":"never"}`: 422,
		`{"name":"x","scopes":["read"],"expires_in":"-1h"}`: 422, `{"name":"x","scopes":["read"],"expires_in":"8761h"}`: 422, `{"name":"x","scopes":["read"],"owner":"root"}`: 422,
	} {
		h.problem(h.call("POST", "/api/v1/tokens", first, body), status)
	}
	h.problem(h.call("DELETE", "/api/v1/tokens/"+list.Items[current].ID, h.admin, ""), 404) // nobody else's
	if a := h.call("DELETE", "/api/v1/tokens/"+list.Items[current].ID, h.user, ""); a.StatusCode != 204 {
		t.Errorf("revoke: %d", a.StatusCode)
	}
	h.problem(h.call("GET", "/api/v1/me", first, ""), 401)
}

func TestACommandLineSignsIn(t *testing.T) {
	h := keyed(t)
	info := decode[v1.LoginInfo](h, h.call("GET", "/api/v1/login", "", ""), 200)
	if info.Provider != nil || info.ConsoleURL != "http://console.localhost:8080/" {
		t.Errorf("info %+v", info)
	}
	d := decode[v1.DeviceLogin](h, h.call("POST", "/api/v1/login/device", "", `{"name":"laptop","scopes":["read"]}`), 200)
	if !strings.HasPrefix(d.DeviceCode, "slw_d_") || len(d.UserCode) != 9 || d.VerificationURI != "http://console.localhost:8080/device" ||
		d.VerificationURIComplete != d.VerificationURI+"?code="+d.UserCode || d.ExpiresIn != 600 || d.Interval != 5 {
		t.Errorf("device %+v", d)
	}
	ask := func(code string) answer {
		return h.call("POST", "/api/v1/login/device/token", "", `{"device_code":"`+code+`"}`)
	}
	if p := h.problem(ask(d.DeviceCode), 400); p.Code != "authorization_pending" {
		t.Errorf("problem %+v", p)
	}
	if p := h.problem(ask(d.DeviceCode), 400); p.Code != "slow_down" {
		t.Errorf("problem %+v", p)
	}
	for _, code := range []string{"", d.UserCode, identity.HashToken(d.DeviceCode), "slw_d_x"} {
		if p := h.problem(ask(code), 400); p.Code != "expired_token" {
			t.Errorf("%q: %+v", code, p)
		}
	}
	if err := h.service.DecideDevice(t.Context(), controlplane.Actor{User: "ada", Full: true}, d.UserCode, true); err != nil {
		t.Fatal(err)
	}
	token := decode[v1.NewToken](h, ask(d.DeviceCode), 200)
	me := decode[v1.Me](h, h.call("GET", "/api/v1/me", token.Secret, ""), 200)
	if token.Name != "laptop" || me.User != "ada" || fmt.Sprint(me.Scopes) != "[read]" {
		t.Errorf("token %+v, me %+v", token, me)
	}
	h.problem(h.call("POST", "/api/v1/login/device", "", `{"scopes":["x"]}`), 422)
	for range 40 {
		if a := h.call("POST", "/api/v1/login/device", "", `{}`); a.StatusCode == http.StatusTooManyRequests {
			h.problem(a, 429)
			return
		}
	}
	t.Error("any number of sign-ins may wait")
}

func TestABearerForOneInstance(t *testing.T) {
	h := keyed(t)
	path := "/api/v1/instances/" + h.run + "/ticket"
	ticket := decode[v1.Ticket](h, h.call("POST", path, h.user, ""), http.StatusCreated)
	if !strings.HasPrefix(ticket.Token, "slw_p_") || time.Until(ticket.ExpiresAt) > identity.PassLife {
		t.Errorf("ticket %+v", ticket)
	}
	if again := decode[v1.Ticket](h, h.call("POST", "/api/v1/instances/"+h.run[:8]+"/ticket", h.user, ""), http.StatusCreated); again.Token == "" {
		t.Error("no ticket by a prefix")
	}
	if again := decode[v1.Ticket](h, h.call("POST", "/api/v1/instances/"+strings.ToUpper(h.run)+"/ticket", h.user, ""), http.StatusCreated); again.Token == "" {
		t.Error("no ticket by an ID in capitals")
	}
	// It is good for nothing here.
	for _, op := range []string{"GET /api/v1/me", "GET /api/v1/instances", "POST " + path} {
		method, path, _ := strings.Cut(op, " ")
		h.problem(h.call(method, path, ticket.Token, ""), 401)
	}
	for _, body := range []string{`{"pass":"` + ticket.Token + `"}`, `{"pass":""}`, `{"pass":"slw_p_x"}`} {
		p := h.problem(h.call("POST", "/api/v1/edge/renew", "", body), 401)
		q := h.problem(h.call("POST", "/api/v1/edge/ticket", "", `{"ticket":"slw_o_x","nonce":"n","instance_id":"`+h.run+`","host":"h"}`), 401)
		if p.Detail != q.Detail || p.Hint != q.Hint || p.Code != q.Code {
			t.Errorf("%+v and %+v", p, q)
		}
	}
	absent := uuid.NewString()
	p, q := h.problem(h.call("POST", path, h.admin, ""), 403), h.problem(h.call("POST", strings.Replace(path, h.run, absent, 1), h.admin, ""), 404)
	if p.Code != "forbidden" || q.Code != "not_found" {
		t.Errorf("%+v, %+v", p, q)
	}
}

func TestUsersOverTheAPI(t *testing.T) {
	h := keyed(t)
	list := decode[v1.List[v1.User]](h, h.call("GET", "/api/v1/users", h.admin, ""), 200)
	if len(list.Items) != 2 || list.Items[0].Name != "ada" || list.Items[0].Issuer == nil || list.Items[1].Issuer != nil || !list.Items[1].Admin {
		t.Fatalf("users %+v", list.Items)
	}
	for _, op := range []string{"GET /api/v1/users", "GET /api/v1/users/ada", "PATCH /api/v1/users/ada"} {
		method, path, _ := strings.Cut(op, " ")
		body := ""
		if method == "PATCH" {
			body = `{"disabled":true}`
		}
		h.problem(h.call(method, path, h.user, body), 403)
	}
	h.problem(h.call("GET", "/api/v1/users/nobody", h.admin, ""), 404)
	user := decode[v1.User](h, h.call("PATCH", "/api/v1/users/ada", h.admin, `{"disabled":true}`), 200)
	if !user.Disabled {
		t.Errorf("user %+v", user)
	}
	h.problem(h.call("GET", "/api/v1/me", h.user, ""), 401)
	h.problem(h.call("PATCH", "/api/v1/users/root", h.admin, `{"disabled":true}`), 409)
	decode[v1.User](h, h.call("PATCH", "/api/v1/users/ada", h.admin, `{"disabled":false}`), 200)
	h.problem(h.call("GET", "/api/v1/me", h.user, ""), 401) // ended for good
}

// Without a session's cookie that counts, the API of the base domain takes
// bearers alone.
func TestTheBaseDomainTakesNoCookies(t *testing.T) {
	h := keyed(t)
	secret := identity.NewSession()
	if _, err := h.service.SignIn(t.Context(), &controlplane.Identity{Issuer: "https://provider.example", Subject: "ada"}, &controlplane.NewSession{
		ID: identity.SessionID(secret), ExpiresAt: time.Now().Add(time.Hour),
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"slipway-session-8080", "__Host-slipway-session"} {
		h.problem(h.call("GET", "/api/v1/me", "", "", "Cookie: "+name+"="+secret, "Sec-Fetch-Site: same-origin"), 401)
	}
	h.problem(h.call("GET", "/api/v1/me", secret, ""), 401) // nor is a session a bearer
}
