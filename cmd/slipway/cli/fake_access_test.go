package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// fakeAccess is the part of the fake that knows who is who.
type fakeAccess struct {
	tokens   map[string]*fakeToken // by secret
	users    []*v1.User
	tags     []*v1.Tag
	audit    []v1.AuditRecord
	devices  []string // what the next questions for a device's token are answered with: codes, then "ok"
	asked    v1.DeviceRequest
	provider *string
	loggedIn int // sign-ins by device
	made     int // tokens
	follows  int // streams of the audit
}

type fakeToken struct {
	v1.Token
	user string
}

func newFakeAccess() fakeAccess {
	a := fakeAccess{tokens: map[string]*fakeToken{}, provider: new("https://auth.example.com/realms/main")}
	a.add("slw_admin", "admin", "all", "admin@localhost")
	a.add("slw_user", "laptop", "all", "dana")
	a.users = []*v1.User{
		{Name: "admin", Admin: true, FullAccess: true, Roles: []string{}, CreatedAt: fakeTime},
		{Name: "dana", DisplayName: "Dana D.", Email: "dana@example.com", Issuer: a.provider, Roles: []string{"dev", "partner"}, CreatedAt: fakeTime, SignedInAt: new(fakeTime.Add(time.Hour))},
	}
	a.tags = []*v1.Tag{{Name: "beta", Title: "Beta", Color: "#ff8800", Kinds: []string{"badge"}, VisitorRoles: []string{}, AdminRoles: []string{}, CreatedAt: fakeTime, UpdatedAt: fakeTime}}
	for i, object := range []string{"app/3f2a9c01", "alias/sales", "alias/sales"} {
		a.record([]string{"dana", "admin", "dana"}[i], []string{"app.import", "alias.create", "alias.assign"}[i], object)
	}
	return a
}

func (a *fakeAccess) add(secret, name, scopes, user string) *fakeToken {
	a.made++
	t := &fakeToken{user: user, Token: v1.Token{ID: fmt.Sprintf("tok%d", a.made), Name: name, Scopes: strings.Split(scopes, ","), CreatedAt: fakeTime}}
	a.tokens[secret] = t
	return t
}

func (a *fakeAccess) record(actor, action, object string) {
	n := len(a.audit)
	a.audit = append(a.audit, v1.AuditRecord{
		ID: fmt.Sprintf("rec%d", n+1), Time: fakeTime.Add(time.Duration(n) * time.Minute), Actor: actor, Action: action, Object: object,
		Revision: fmt.Sprint(901 + n), Address: "192.0.2.7", Detail: "to 2efe9e01",
	})
}

func (f *fakeAPI) caller(r *http.Request) *fakeToken {
	return f.access.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
}

// anonymous are the paths that need no token.
func anonymous(r *http.Request) bool {
	switch r.Method + " " + r.URL.Path {
	case "GET /api/v1/login", "POST /api/v1/login/device", "POST /api/v1/login/device/token":
		return true
	}
	return false
}

func (f *fakeAPI) handleAccess(handle func(pattern string, status int, h func(r *http.Request) (any, error))) {
	a := &f.access
	handle("GET /api/v1/me", 200, f.me)
	handle("GET /api/v1/login", 200, func(*http.Request) (any, error) {
		return v1.LoginInfo{Provider: a.provider, ConsoleURL: "https://console.example.com/"}, nil
	})
	handle("POST /api/v1/login/device", 200, f.beginLogin)
	handle("POST /api/v1/login/device/token", 200, f.loginToken)
	handle("POST /api/v1/login/link", 200, func(*http.Request) (any, error) {
		return v1.LoginLink{URL: "http://console.localhost:8080/link?token=slw_l_X", ExpiresAt: testNow().Add(time.Minute)}, nil
	})
	handle("POST /api/v1/logout", 204, f.logout)
	handle("GET /api/v1/tokens", 200, f.listTokens)
	handle("POST /api/v1/tokens", 201, f.createToken)
	handle("DELETE /api/v1/tokens/{id}", 204, f.revokeToken)
	handle("GET /api/v1/users", 200, func(r *http.Request) (any, error) { return page(r, a.users) })
	handle("GET /api/v1/users/{name}", 200, func(r *http.Request) (any, error) { return f.user(r) })
	handle("PATCH /api/v1/users/{name}", 200, f.patchUser)
	handle("GET /api/v1/tags", 200, func(r *http.Request) (any, error) { return page(r, a.tags) })
	handle("POST /api/v1/tags", 201, f.createTag)
	handle("GET /api/v1/tags/{name}", 200, func(r *http.Request) (any, error) { return f.tag(r.PathValue("name")) })
	handle("PATCH /api/v1/tags/{name}", 200, f.patchTag)
	handle("DELETE /api/v1/tags/{name}", 204, f.deleteTag)
	handle("PATCH /api/v1/apps/{id}", 200, f.patchApp)
	f.mux.HandleFunc("GET /api/v1/audit", f.serveAudit)
	f.mux.HandleFunc("GET /api/v1/apps/{id}/bundle", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/zip")
		if data := f.bundles[r.PathValue("id")]; data != nil {
			_, _ = w.Write(data)
			return
		}
		fmt.Fprintf(w, "PK of %s\n", r.PathValue("id"))
	})
}

func (f *fakeAPI) me(r *http.Request) (any, error) {
	t := f.caller(r)
	me := v1.Me{User: t.user, Admin: admin(r), FullAccess: admin(r), Roles: []string{}, ExpiresAt: t.ExpiresAt}
	for _, u := range f.access.users {
		if u.Name == t.user {
			me.DisplayName, me.Email, me.Roles = u.DisplayName, u.Email, u.Roles
		}
	}
	if !slices.Equal(t.Scopes, []string{"all"}) {
		me.Scopes = t.Scopes
	}
	return me, nil
}

func (f *fakeAPI) beginLogin(r *http.Request) (any, error) {
	f.access.asked = v1.DeviceRequest{}
	if err := json.NewDecoder(r.Body).Decode(&f.access.asked); err != nil {
		return nil, err
	}
	const at = "https://console.example.com/device"
	return v1.DeviceLogin{DeviceCode: "secret-of-the-device", UserCode: "BCDF-GHJK", VerificationURI: at, VerificationURIComplete: at + "?code=BCDF-GHJK", ExpiresIn: 600, Interval: 5}, nil
}

func (f *fakeAPI) loginToken(r *http.Request) (any, error) {
	var q v1.DeviceTokenRequest
	if json.NewDecoder(r.Body).Decode(&q) != nil || q.DeviceCode != "secret-of-the-device" {
		return nil, controlplane.Errorf(controlplane.CodeInvalid, "no such device code")
	}
	answer := "ok"
	if len(f.access.devices) > 0 {
		answer, f.access.devices = f.access.devices[0], f.access.devices[1:]
	}
	if answer != "ok" {
		return nil, controlplane.Errorf(controlplane.Code(answer), "the sign-in is not approved")
	}
	f.access.loggedIn++
	scopes := f.access.asked.Scopes
	if len(scopes) == 0 {
		scopes = []string{"all"}
	}
	secret := fmt.Sprintf("slw_device%dABCDEFGHIJKLMNOPQRSTUVWXYZ234567", f.access.loggedIn)
	t := f.access.add(secret, f.access.asked.Name, strings.Join(scopes, ","), "dana")
	t.ExpiresAt = new(fakeTime.Add(30 * 24 * time.Hour))
	return v1.NewToken{Token: t.Token, Secret: secret}, nil
}

func (f *fakeAPI) logout(r *http.Request) (any, error) {
	var q struct{ Everywhere bool }
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return nil, err
	}
	delete(f.access.tokens, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if q.Everywhere {
		f.access.record("dana", "user.logout_everywhere", "user/dana")
	}
	return nil, nil
}

func (f *fakeAPI) listTokens(r *http.Request) (any, error) {
	caller := f.caller(r)
	var list []*v1.Token
	for _, t := range f.access.tokens {
		if shown := t.Token; t.user == caller.user {
			shown.Current = t == caller
			list = append(list, &shown)
		}
	}
	slices.SortFunc(list, func(a, b *v1.Token) int { return strings.Compare(a.ID, b.ID) })
	return page(r, list)
}

func (f *fakeAPI) createToken(r *http.Request) (any, error) {
	var q v1.TokenRequest
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return nil, err
	}
	if len(q.Scopes) == 0 {
		q.Scopes = []string{"read", "open"}
	}
	life := 720 * time.Hour
	if q.ExpiresIn != nil {
		life, _ = time.ParseDuration(*q.ExpiresIn)
	}
	secret := fmt.Sprintf("slw_made%d", len(f.access.tokens))
	t := f.access.add(secret, q.Name, strings.Join(q.Scopes, ","), f.caller(r).user)
	t.ExpiresAt = new(fakeTime.Add(life))
	return v1.NewToken{Token: t.Token, Secret: secret}, nil
}

func (f *fakeAPI) revokeToken(r *http.Request) (any, error) {
	for secret, t := range f.access.tokens {
		if t.ID == r.PathValue("id") || r.PathValue("id") == "current" && t == f.caller(r) {
			delete(f.access.tokens, secret)
			return nil, nil
		}
	}
	return nil, controlplane.Errorf(controlplane.CodeNotFound, "no token %q", r.PathValue("id")).WithHint("slipway token list shows them")
}

func (f *fakeAPI) user(r *http.Request) (*v1.User, error) {
	for _, u := range f.access.users {
		if u.Name == r.PathValue("name") {
			return u, nil
		}
	}
	return nil, controlplane.Errorf(controlplane.CodeNotFound, "no user %q", r.PathValue("name"))
}

func (f *fakeAPI) patchUser(r *http.Request) (any, error) {
	u, err := f.user(r)
	var q v1.UserPatch
	if err == nil {
		err = json.NewDecoder(r.Body).Decode(&q)
	}
	if err == nil {
		u.Disabled = *q.Disabled
	}
	return u, err
}

func (f *fakeAPI) tag(name string) (*v1.Tag, error) {
	for _, t := range f.access.tags {
		if t.Name == name {
			return t, nil
		}
	}
	return nil, controlplane.Errorf(controlplane.CodeNotFound, "no tag %q", name)
}

func (f *fakeAPI) createTag(r *http.Request) (any, error) {
	var q v1.TagRequest
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return nil, err
	}
	t := &v1.Tag{
		Name: q.Name, Title: q.Title, Description: q.Description, Color: q.Color, IsCategory: q.IsCategory,
		VisitorRoles: q.VisitorRoles, AdminRoles: q.AdminRoles, CreatedAt: fakeTime, UpdatedAt: fakeTime,
	}
	setKinds(t)
	f.access.tags = append(f.access.tags, t)
	return t, nil
}

func (f *fakeAPI) patchTag(r *http.Request) (any, error) {
	t, err := f.tag(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	// What is absent stays.
	err = json.NewDecoder(r.Body).Decode(t)
	setKinds(t)
	return t, err
}

func setKinds(t *v1.Tag) {
	t.Kinds = nil
	if t.IsCategory {
		t.Kinds = append(t.Kinds, "category")
	}
	if len(t.VisitorRoles) > 0 {
		t.Kinds = append(t.Kinds, "authorization")
	}
	if t.Kinds == nil {
		t.Kinds = []string{"badge"}
	}
}

func (f *fakeAPI) deleteTag(r *http.Request) (any, error) {
	t, err := f.tag(r.PathValue("name"))
	if err == nil {
		f.access.tags = remove(f.access.tags, t)
	}
	return nil, err
}

func (f *fakeAPI) patchApp(r *http.Request) (any, error) {
	a, err := f.app(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if !admin(r) {
		return nil, controlplane.Errorf(controlplane.CodeForbidden, "the app is not yours to change")
	}
	var q v1.AppPatch
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return nil, err
	}
	if q.Visibility != nil {
		a.Visibility = *q.Visibility
	}
	if q.Tags != nil {
		a.Tags = *q.Tags
	}
	if q.LaunchProfile != nil {
		if *q.LaunchProfile == "huge" {
			return nil, controlplane.Errorf(controlplane.CodeInvalid, "there is no launch profile %q", *q.LaunchProfile).WithHint("one of small, large")
		}
		if a.LaunchProfile = q.LaunchProfile; *q.LaunchProfile == "" {
			a.LaunchProfile = nil
		}
	}
	if q.Image != nil && a.AppMode == string(controlplane.Container) {
		a.Image = q.Image
	} else if q.Image != nil {
		return nil, controlplane.Errorf(controlplane.CodeConflict, "app %s is no container; %s is not set", a.Title, *q.Image)
	}
	return a, nil
}

// serveAudit is the list, or with follow one stream of two records that breaks
// off, and one of a third that ends in a refusal.
func (f *fakeAPI) serveAudit(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !q.Has("follow") {
		f.serve(w, r, 200, func(r *http.Request) (any, error) {
			var list []*v1.AuditRecord
			for _, x := range f.access.audit {
				if (q.Get("actor") == "" || q.Get("actor") == x.Actor) && (q.Get("object") == "" || q.Get("object") == x.Object) {
					list = append(list, &x)
				}
			}
			return page(r, list)
		})
		return
	}
	first := map[string]int{"918": 919, "920": 921}[r.Header.Get("Last-Event-ID")]
	if f.access.follows++; first == 0 || f.access.follows > 9 { // no more, whatever is asked for
		refuse(w, controlplane.Errorf(controlplane.CodeForbidden, "the audit is not yours to read any more"))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for id := first; id <= first+1 && id <= 921; id++ {
		data, _ := json.Marshal(v1.AuditRecord{ID: fmt.Sprint("rec", id), Time: fakeTime, Actor: "dana", Action: "tag.create", Object: "tag/\x1b[2Jx", Revision: fmt.Sprint(id), Address: "192.0.2.7"})
		fmt.Fprintf(w, "id: %d\nevent: audit\ndata: %s\n\n", id, data)
	}
}
