package api_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
	"github.com/seed-dbc68772/slipway/controlplane/api"
	"github.com/seed-dbc68772/slipway/controlplane/blobs"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/vault"
	"github.com/seed-dbc68772/slipway/routing"
)

// walk is what each operation answers to each actor (spec access.md §2–§4). A
// row is the operation, what is otherwise than by default, and the statuses.
// By default the app is ON_DEMAND, and it, its instance of another owner and
// that one's alias are PRIVATE. An operation without a row fails the test.
const walk = `
                                                          | anonymous | visitor | tag visitor | full | app owner | instance owner | admin
POST /api/v1/bundles                                      | 401 | 403 | 403 | 201 | 201 | 201 | 201
POST /api/v1/bundles container                            | 401 | 403 | 403 | 403 | 403 | 403 | 201
GET /api/v1/bundles/{digest}                              | 403 | 403 | 403 | 403 | 403 | 403 | 403
GET /api/v1/bundles/{digest} signed                       | 200 | 200 | 200 | 200 | 200 | 200 | 200
GET /api/v1/apps                                          | 401 | 200 | 200 | 200 | 200 | 200 | 200
GET /api/v1/apps public_mode                              | 200 | 200 | 200 | 200 | 200 | 200 | 200
GET /api/v1/apps/{id}                                     | 401 | 404 | 404 | 404 | 200 | 404 | 200
GET /api/v1/apps/{id} ALL_USERS                           | 401 | 404 | 200 | 200 | 200 | 200 | 200
GET /api/v1/apps/{id} PUBLIC                              | 401 | 404 | 200 | 200 | 200 | 200 | 200
GET /api/v1/apps/{id} PUBLIC public_mode                  | 200 | 200 | 200 | 200 | 200 | 200 | 200
GET /api/v1/apps/{id} ALL_USERS public_mode               | 401 | 404 | 200 | 200 | 200 | 200 | 200
PATCH /api/v1/apps/{id}                                   | 401 | 404 | 404 | 404 | 200 | 404 | 200
PATCH /api/v1/apps/{id} ALL_USERS                         | 401 | 404 | 403 | 403 | 200 | 403 | 200
PATCH /api/v1/apps/{id} PUBLIC public_mode                | 401 | 403 | 403 | 403 | 200 | 403 | 200
PATCH /api/v1/apps/{id} ALL_USERS tags                    | 401 | 404 | 403 | 403 | 200 | 403 | 200
PATCH /api/v1/apps/{id} ALL_USERS curated                 | 401 | 404 | 403 | 403 | 403 | 403 | 200
PATCH /api/v1/apps/{id} ALL_USERS image                   | 401 | 404 | 403 | 403 | 403 | 403 | 200
DELETE /api/v1/apps/{id}                                  | 401 | 404 | 404 | 404 | 204 | 404 | 204
DELETE /api/v1/apps/{id} ALL_USERS                        | 401 | 404 | 403 | 403 | 204 | 403 | 204
GET /api/v1/apps/{id}/bundle                              | 401 | 404 | 404 | 404 | 200 | 404 | 200
GET /api/v1/apps/{id}/bundle ALL_USERS                    | 401 | 404 | 403 | 403 | 200 | 403 | 200
GET /api/v1/apps/{id}/bundle PUBLIC public_mode           | 401 | 403 | 403 | 403 | 200 | 403 | 200
GET /api/v1/apps/{id}/icon                                | 401 | 404 | 404 | 404 | 200 | 404 | 200
GET /api/v1/apps/{id}/icon ALL_USERS                      | 401 | 404 | 200 | 200 | 200 | 200 | 200
GET /api/v1/apps/{id}/icon PUBLIC                         | 401 | 404 | 200 | 200 | 200 | 200 | 200
GET /api/v1/apps/{id}/icon PUBLIC public_mode             | 200 | 200 | 200 | 200 | 200 | 200 | 200
GET /api/v1/apps/{id}/screenshots/{n}                     | 401 | 404 | 404 | 404 | 200 | 404 | 200
GET /api/v1/apps/{id}/screenshots/{n} ALL_USERS           | 401 | 404 | 200 | 200 | 200 | 200 | 200
GET /api/v1/apps/{id}/screenshots/{n} PUBLIC              | 401 | 404 | 200 | 200 | 200 | 200 | 200
GET /api/v1/apps/{id}/screenshots/{n} PUBLIC public_mode  | 200 | 200 | 200 | 200 | 200 | 200 | 200
GET /api/v1/apps/{id}/description                         | 401 | 404 | 404 | 404 | 200 | 404 | 200
GET /api/v1/apps/{id}/description ALL_USERS               | 401 | 404 | 200 | 200 | 200 | 200 | 200
GET /api/v1/apps/{id}/description PUBLIC                  | 401 | 404 | 200 | 200 | 200 | 200 | 200
GET /api/v1/apps/{id}/description PUBLIC public_mode      | 200 | 200 | 200 | 200 | 200 | 200 | 200
GET /api/v1/apps/{id}/meta                                | 401 | 404 | 404 | 404 | 200 | 404 | 200
GET /api/v1/apps/{id}/meta ALL_USERS                      | 401 | 404 | 403 | 403 | 200 | 403 | 200
GET /api/v1/apps/{id}/meta PUBLIC public_mode             | 401 | 403 | 403 | 403 | 200 | 403 | 200
GET /api/v1/apps/{id}/visit                               | 401 | 404 | 404 | 404 | 409 | 404 | 409
GET /api/v1/apps/{id}/visit ALL_USERS                     | 401 | 404 | 409 | 302 | 302 | 302 | 302
GET /api/v1/apps/{id}/visit PUBLIC public_mode            | 302 | 302 | 302 | 302 | 302 | 302 | 302
GET /api/v1/apps/{id}/visit ALL_USERS MANAGED             | 401 | 404 | 302 | 302 | 302 | 302 | 302
POST /api/v1/apps/{id}/preconditions                      | 401 | 404 | 404 | 404 | 200 | 404 | 200
POST /api/v1/apps/{id}/preconditions ALL_USERS            | 401 | 404 | 403 | 403 | 200 | 403 | 200
POST /api/v1/preconditions                                | 401 | 403 | 403 | 403 | 403 | 403 | 200
PATCH /api/v1/apps/{id} ALL_USERS profile                 | 401 | 404 | 403 | 403 | 200 | 403 | 200
POST /api/v1/bundles image                                | 401 | 403 | 403 | 403 | 403 | 403 | 201
GET /api/v1/runtime-versions                              | 401 | 200 | 200 | 200 | 200 | 200 | 200
GET /api/v1/launch-profiles                               | 401 | 200 | 200 | 200 | 200 | 200 | 200
POST /api/v1/instances                                    | 401 | 404 | 404 | 404 | 202 | 404 | 202
POST /api/v1/instances ALL_USERS                          | 401 | 404 | 202 | 202 | 202 | 202 | 202
POST /api/v1/instances PUBLIC public_mode                 | 401 | 403 | 202 | 202 | 202 | 202 | 202
POST /api/v1/instances ALL_USERS MANAGED                  | 401 | 404 | 403 | 403 | 202 | 403 | 202
GET /api/v1/instances                                     | 401 | 200 | 200 | 200 | 200 | 200 | 200
GET /api/v1/instances PUBLIC public_mode                  | 401 | 200 | 200 | 200 | 200 | 200 | 200
GET /api/v1/instances/{id}                                | 401 | 404 | 404 | 404 | 200 | 200 | 200
GET /api/v1/instances/{id} ALL_USERS                      | 401 | 404 | 404 | 200 | 200 | 200 | 200
GET /api/v1/instances/{id} PUBLIC public_mode             | 401 | 404 | 404 | 200 | 200 | 200 | 200
PATCH /api/v1/instances/{id}                              | 401 | 404 | 404 | 404 | 403 | 200 | 200
PATCH /api/v1/instances/{id} PUBLIC                       | 401 | 404 | 404 | 403 | 403 | 200 | 200
DELETE /api/v1/instances/{id}                             | 401 | 404 | 404 | 404 | 403 | 202 | 202
DELETE /api/v1/instances/{id} ALL_USERS                   | 401 | 404 | 404 | 403 | 403 | 202 | 202
POST /api/v1/instances/{id}/suspend                       | 401 | 404 | 404 | 404 | 403 | 200 | 200
POST /api/v1/instances/{id}/suspend ALL_USERS             | 401 | 404 | 404 | 403 | 403 | 200 | 200
POST /api/v1/instances/{id}/resume                        | 401 | 404 | 404 | 404 | 403 | 200 | 200
POST /api/v1/instances/{id}/resume ALL_USERS              | 401 | 404 | 404 | 403 | 403 | 200 | 200
GET /api/v1/instances/{id}/logs                           | 401 | 404 | 404 | 404 | 503 | 503 | 503
GET /api/v1/instances/{id}/logs PUBLIC                    | 401 | 404 | 404 | 403 | 503 | 503 | 503
POST /api/v1/instances/{id}/restart                       | 401 | 404 | 404 | 404 | 403 | 200 | 200
POST /api/v1/instances/{id}/restart ALL_USERS             | 401 | 404 | 404 | 403 | 403 | 200 | 200
POST /api/v1/instances/{id}/redeploy                      | 401 | 404 | 404 | 404 | 403 | 403 | 200
POST /api/v1/instances/{id}/redeploy ALL_USERS            | 401 | 404 | 404 | 403 | 403 | 403 | 200
PATCH /api/v1/instances/{id} autosuspend                  | 401 | 404 | 404 | 404 | 403 | 403 | 200
PATCH /api/v1/instances/{id} wake                         | 401 | 404 | 404 | 404 | 403 | 200 | 200
GET /api/v1/instances/{id}/status                         | 401 | 404 | 404 | 404 | 200 | 200 | 200
GET /api/v1/instances/{id}/status ALL_USERS               | 401 | 404 | 404 | 200 | 200 | 200 | 200
GET /api/v1/instances/{id}/why                            | 401 | 404 | 404 | 404 | 200 | 200 | 200
GET /api/v1/instances/{id}/why ALL_USERS                  | 401 | 404 | 404 | 403 | 200 | 200 | 200
GET /api/v1/instances/{id}/events                         | 401 | 404 | 404 | 404 | 200 | 200 | 200
GET /api/v1/instances/{id}/events PUBLIC                  | 401 | 404 | 404 | 403 | 200 | 200 | 200
PUT /api/v1/instance/busy                                 | 401 | 403 | 403 | 403 | 403 | 403 | 403
PUT /api/v1/instance/progress                             | 401 | 403 | 403 | 403 | 403 | 403 | 403
POST /api/v1/aliases                                      | 401 | 403 | 403 | 403 | 403 | 403 | 201
POST /api/v1/aliases user_aliases                         | 401 | 422 | 422 | 422 | 403 | 201 | 201
POST /api/v1/aliases user_aliases ALL_USERS               | 401 | 422 | 422 | 403 | 403 | 201 | 201
POST /api/v1/aliases user_aliases unassigned              | 401 | 403 | 403 | 403 | 403 | 403 | 201
GET /api/v1/aliases                                       | 401 | 200 | 200 | 200 | 200 | 200 | 200
GET /api/v1/aliases/{alias}                               | 401 | 404 | 404 | 404 | 404 | 200 | 200
DELETE /api/v1/aliases/{alias}                            | 401 | 403 | 403 | 403 | 403 | 403 | 204
DELETE /api/v1/aliases/{alias} user_aliases               | 401 | 404 | 404 | 404 | 404 | 204 | 204
PUT /api/v1/aliases/{alias}/assignment                    | 401 | 403 | 403 | 403 | 403 | 403 | 200
PUT /api/v1/aliases/{alias}/assignment user_aliases       | 401 | 404 | 404 | 404 | 404 | 200 | 200
POST /api/v1/aliases/{alias}/promote                      | 401 | 403 | 403 | 403 | 403 | 403 | 200
POST /api/v1/aliases/{alias}/promote user_aliases         | 401 | 404 | 404 | 404 | 404 | 200 | 200
POST /api/v1/tags                                         | 401 | 403 | 403 | 403 | 403 | 403 | 201
GET /api/v1/tags                                          | 401 | 200 | 200 | 200 | 200 | 200 | 200
GET /api/v1/tags/{name}                                   | 401 | 200 | 200 | 200 | 200 | 200 | 200
PATCH /api/v1/tags/{name}                                 | 401 | 403 | 403 | 200 | 200 | 200 | 200
PATCH /api/v1/tags/{name} curated                         | 401 | 403 | 403 | 403 | 403 | 403 | 200
DELETE /api/v1/tags/{name}                                | 401 | 403 | 403 | 403 | 403 | 403 | 204
POST /api/v1/secrets                                      | 401 | 403 | 403 | 201 | 201 | 201 | 201
POST /api/v1/secrets shared                               | 401 | 403 | 403 | 403 | 403 | 403 | 201
GET /api/v1/secrets                                       | 401 | 403 | 403 | 200 | 200 | 200 | 200
GET /api/v1/secrets shared                                | 401 | 403 | 403 | 200 | 200 | 200 | 200
GET /api/v1/secrets parent                                | 401 | 403 | 403 | 403 | 403 | 403 | 200
GET /api/v1/secrets/{name}                                | 401 | 403 | 403 | 200 | 404 | 404 | 404
GET /api/v1/secrets/{name} shared                         | 401 | 403 | 403 | 200 | 200 | 200 | 200
GET /api/v1/secrets/{name} parent                         | 401 | 403 | 403 | 403 | 403 | 403 | 200
GET /api/v1/secrets/{name} reveal                         | 401 | 403 | 403 | 200 | 404 | 404 | 404
GET /api/v1/secrets/{name} reveal shared                  | 401 | 403 | 403 | 403 | 403 | 403 | 200
PUT /api/v1/secrets/{name}                                | 401 | 403 | 403 | 200 | 404 | 404 | 404
PUT /api/v1/secrets/{name} shared                         | 401 | 403 | 403 | 403 | 403 | 403 | 200
DELETE /api/v1/secrets/{name}                             | 401 | 403 | 403 | 204 | 404 | 404 | 404
DELETE /api/v1/secrets/{name} parent                      | 401 | 403 | 403 | 403 | 403 | 403 | 204
POST /api/v1/secrets/rotate                               | 401 | 403 | 403 | 403 | 403 | 403 | 200
GET /api/v1/edges                                         | 401 | 200 | 200 | 200 | 200 | 200 | 200
GET /api/v1/leader                                        | 401 | 403 | 403 | 403 | 403 | 403 | 503
GET /api/v1/audit                                         | 401 | 403 | 403 | 403 | 403 | 403 | 200
GET /api/v1/explain                                       | 401 | 403 | 403 | 403 | 403 | 403 | 200
POST /api/v1/explain                                      | 401 | 403 | 403 | 403 | 403 | 403 | 200
GET /api/v1/me                                            | 401 | 200 | 200 | 200 | 200 | 200 | 200
GET /api/v1/login                                         | 200 | 200 | 200 | 200 | 200 | 200 | 200
POST /api/v1/login/device                                 | 200 | 200 | 200 | 200 | 200 | 200 | 200
POST /api/v1/login/device/token                           | 400 | 400 | 400 | 400 | 400 | 400 | 400
POST /api/v1/login/link                                   | 401 | 403 | 403 | 403 | 403 | 403 | 201
POST /api/v1/logout                                       | 401 | 204 | 204 | 204 | 204 | 204 | 204
GET /api/v1/tokens                                        | 401 | 200 | 200 | 200 | 200 | 200 | 200
POST /api/v1/tokens                                       | 401 | 201 | 201 | 201 | 201 | 201 | 201
DELETE /api/v1/tokens/{id}                                | 401 | 404 | 404 | 404 | 404 | 404 | 404
POST /api/v1/instances/{id}/ticket                        | 401 | 404 | 404 | 404 | 403 | 201 | 403
POST /api/v1/instances/{id}/ticket ALL_USERS              | 401 | 404 | 404 | 201 | 201 | 201 | 201
POST /api/v1/instances/{id}/ticket ALL_USERS MANAGED      | 401 | 404 | 201 | 201 | 201 | 201 | 201
POST /api/v1/instances/{id}/ticket PUBLIC                 | 401 | 201 | 201 | 201 | 201 | 201 | 201
POST /api/v1/edge/ticket                                  | 401 | 401 | 401 | 401 | 401 | 401 | 401
POST /api/v1/edge/renew                                   | 401 | 401 | 401 | 401 | 401 | 401 | 401
POST /api/v1/edge/icon                                    | 404 | 404 | 404 | 404 | 404 | 404 | 404
GET /api/v1/users                                         | 401 | 403 | 403 | 403 | 403 | 403 | 200
GET /api/v1/users/{name}                                  | 401 | 403 | 403 | 403 | 403 | 403 | 200
PATCH /api/v1/users/{name}                                | 401 | 403 | 403 | 403 | 403 | 403 | 200
`

// scene is an installation to walk through.
type scene struct {
	*house
	tokens   map[string]string // by column
	instance string
	site     *routing.Site
	words    []string // of the row
}

func (s *scene) has(word string) bool { return slices.Contains(s.words, word) }

func newScene(t *testing.T, words []string) *scene {
	t.Helper()
	s := &scene{house: &house{TB: t, store: etcdtest.Shared(t).Open(t)}, words: words}
	s.tokens = map[string]string{"anonymous": ""}
	site, err := routing.NewSite(routing.SiteConfig{BaseURL: "http://localhost:8080"})
	folder, err2 := blobs.New(t.TempDir())
	bundle, err3 := folder.Create(t.Context())
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(bundle, "a bundle")
	digest, err2 := bundle.Commit()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	manifest := controlplane.Manifest{Name: "new", Version: "1", Lifecycle: controlplane.OnDemand, Runtime: controlplane.Runtime{AppMode: controlplane.Python}}
	if s.has("container") || s.has("image") {
		manifest.Runtime.AppMode = controlplane.Container
	}
	s.service = controlplane.NewService(controlplane.Config{
		Store: s.store, Edges: s.store, Leaders: s.store, Happenings: s.store, Blobs: folder, Launchers: launchers{}, RoutingMode: controlplane.Domain, MaxUpload: 1 << 20,
		ReadMeta: func(io.ReaderAt, int64) (*controlplane.BundleMeta, error) {
			return &controlplane.BundleMeta{App: "[App]"}, nil
		},
		Rights: controlplane.Rights{AdminRole: "operators", FullRole: "staff"},
		Access: access.Rules{PublicMode: s.has("public_mode"), UserAliases: s.has("user_aliases")},
		ReadBundle: func(context.Context, io.ReaderAt, int64) (controlplane.ReadBundle, error) {
			return controlplane.ReadBundle{Manifest: manifest}, nil
		},
	})
	keys := filepath.Join(t.TempDir(), "keys")
	if _, err := vault.Create(keys); err != nil {
		t.Fatal(err)
	}
	if s.service.Vault, err = vault.Open(keys); err != nil {
		t.Fatal(err)
	}
	if s.service.Passes, err = identity.NewKeyring(t.Context(), s.store, time.Now); err != nil {
		t.Fatal(err)
	}
	s.service.SignBundleLink = func(l controlplane.BundleLink) string { return identity.SignBundleLink([]byte("key"), l) }
	s.site = site
	s.handler = s.with(nil)
	s.fill(digest)
	return s
}

// with is the API with these launchers.
func (s *scene) with(l map[string]launcher.Launcher) http.Handler {
	return api.New(api.Config{Service: s.service, Launchers: l, Site: s.site, Explain: explain, Log: zap.NewNop()})
}

// demote takes all roles from a user.
func (s *scene) demote(name string) {
	s.Helper()
	_, err := s.store.Update(s.Context(), func(tx controlplane.Tx) error {
		user, err := tx.User(name)
		if err != nil {
			return err
		}
		user.Roles = nil
		return tx.Put(user)
	})
	if err != nil {
		s.Fatal(err)
	}
}

// fill writes the records: the app of otto with the instance of olga.
func (s *scene) fill(bundle string) {
	v := controlplane.Private
	for _, word := range s.words {
		if controlplane.Visibility(word).Valid() {
			v = controlplane.Visibility(word)
		}
	}
	app := &controlplane.App{
		ID: uuid.NewString(), Name: "demo", Version: "1", Owner: "otto", Visibility: v, Tags: []string{"red"}, Lifecycle: controlplane.OnDemand,
		RoutingMode: controlplane.Domain, AppMode: controlplane.Python, Bundle: bundle,
		Icon: bundle, LongDescription: bundle, Screenshots: []controlplane.Picture{{Digest: bundle, Type: "image/png"}},
	}
	if s.has("MANAGED") {
		app.Lifecycle = controlplane.Managed
	}
	if s.has("image") {
		app.AppMode = controlplane.Container
	}
	in := &controlplane.Instance{
		ID: uuid.NewString(), AppID: app.ID, Owner: "olga", Visibility: v, Status: controlplane.Deployed, RoutingMode: controlplane.Domain, Launcher: "none",
	}
	other := *in
	other.ID = uuid.NewString()
	records := []any{
		&controlplane.Tag{Name: "red", VisitorRoles: []string{"team"}}, &controlplane.Tag{Name: "blue"},
		&controlplane.Tag{Name: "gold", AdminRoles: []string{"curators"}}, app,
	}
	if !strings.HasPrefix(s.words[0], "DELETE") || !strings.HasSuffix(s.words[1], "/apps/{id}") {
		records = append(records, in, &other, &controlplane.Alias{ID: uuid.NewString(), Name: "sales", InstanceID: in.ID})
	}
	for column, user := range map[string]*controlplane.User{
		"visitor": {Name: "victor", Roles: []string{"other"}}, "tag visitor": {Name: "vera", Roles: []string{"team"}},
		"full": {Name: "ada", Roles: []string{"staff"}}, "app owner": {Name: "otto", Roles: []string{"staff"}},
		"instance owner": {Name: "olga", Roles: []string{"staff"}}, "admin": {Name: "root", Roles: []string{"operators"}},
	} {
		user.Issuer, user.Subject = "https://provider.example", user.Name
		s.tokens[column] = identity.NewToken()
		records = append(records, user, &controlplane.Token{
			Hash: identity.HashToken(s.tokens[column]), ID: identity.NewID(), User: user.Name, Scopes: controlplane.Scopes,
		})
	}
	_, err := s.store.Update(s.Context(), func(tx controlplane.Tx) error {
		for _, r := range records {
			if err := tx.Put(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	s.app, s.run, s.instance = app.ID, in.ID, other.ID
	if strings.Contains(s.words[1], "/secrets") {
		s.keepSecrets()
	}
}

// keepSecrets has ada keep one of her own, and root those that are the admins'.
func (s *scene) keepSecrets() {
	s.Helper()
	ada, root := controlplane.Actor{User: "ada", Full: true}, controlplane.Actor{User: "root", Full: true, Admin: true}
	_, err := s.service.CreateSecret(s.Context(), ada, controlplane.SecretID{Name: "key"}, controlplane.SecretValues{"a": []byte("1")})
	_, err2 := s.service.CreateSecret(s.Context(), root, controlplane.SecretID{Visibility: controlplane.AllUsers, Name: "key"}, controlplane.SecretValues{"a": []byte("1")})
	_, err3 := s.service.CreateSecret(s.Context(), root, controlplane.SecretID{Visibility: controlplane.AppWide, Parent: "app:demo", Name: "key"}, controlplane.SecretValues{"a": []byte("1")})
	if err := errors.Join(err, err2, err3); err != nil {
		s.Fatal(err)
	}
}

// send calls the row's operation; with absent its object is not there.
func (s *scene) send(column string, absent bool) answer {
	s.Helper()
	method, path := s.words[0], s.words[1]
	tag := "blue"
	if s.has("curated") {
		tag = "gold"
	}
	alias, app, run := "sales", s.app, s.run
	if absent {
		alias, app, run = "tales", uuid.NewString(), uuid.NewString()
	}
	id := run
	if strings.Contains(path, "/apps/") {
		id = app
	}
	body := map[string]string{
		"PATCH /api/v1/apps/{id}":                `{"visibility":"PRIVATE"}`,
		"PATCH /api/v1/instances/{id}":           `{"visibility":"PRIVATE"}`,
		"POST /api/v1/instances":                 `{"app_id":"` + app + `"}`,
		"POST /api/v1/aliases":                   `{"name":"new","instance_id":"` + run + `"}`,
		"PUT /api/v1/aliases/{alias}/assignment": `{"instance_id":"` + s.instance + `"}`,
		"POST /api/v1/tags":                      `{"name":"green"}`,
		"PATCH /api/v1/tags/{name}":              `{"title":"x","visitor_roles":["other"]}`,
		"POST /api/v1/explain":                   `{"url":"http://a/"}`,
		"POST /api/v1/login/device":              `{}`,
		"POST /api/v1/login/device/token":        `{"device_code":"x"}`,
		"POST /api/v1/logout":                    `{}`,
		"POST /api/v1/tokens":                    `{"name":"x"}`,
		"POST /api/v1/edge/ticket":               `{"ticket":"x","nonce":"x","instance_id":"` + run + `","host":"x"}`,
		"POST /api/v1/edge/renew":                `{"pass":"x"}`,
		"POST /api/v1/edge/icon":                 `{"app_id":"` + app + `","digest":"` + strings.Repeat("0", 64) + `"}`,
		"POST /api/v1/secrets":                   `{"name":"new","values":{"a":"1"}}`,
		"PUT /api/v1/secrets/{name}":             `{"values":{"a":"1"}}`,
		"PATCH /api/v1/users/{name}":             `{"disabled":true}`,
		"PUT /api/v1/instance/busy":              `{"for":"1h"}`,
		"PUT /api/v1/instance/progress":          `{"percent":5}`,
	}[method+" "+path]
	switch {
	case strings.Contains(path, "/apps/") && (s.has("tags") || s.has("curated")):
		body = `{"tags":["red","` + tag + `"]}`
	case s.has("autosuspend"):
		body = `{"autosuspend":false}`
	case s.has("wake"):
		body = `{"wake":"owner"}`
	case s.has("profile"):
		body = `{"launch_profile":""}`
	case s.has("image") && method == http.MethodPatch:
		body = `{"image":"example.com/box:2"}`
	case s.has("unassigned"):
		body = `{"name":"new"}`
	}
	var header []string
	if path == "/api/v1/bundles" {
		body, header = "PK", []string{"Content-Type: application/zip"}
		if s.has("image") {
			path += "?image=example.com/box:2"
		}
	}
	name := tag
	if strings.Contains(path, "/users/") {
		name = "victor"
	}
	if strings.Contains(path, "/secrets") {
		if name = "key"; absent {
			name = "lock"
		}
		if method == http.MethodPost && s.has("shared") {
			body = `{"name":"new","visibility":"ALL_USERS","values":{"a":"1"}}`
		}
		path += s.secretQuery()
	}
	if path == "/api/v1/bundles/{digest}" {
		path = s.bundleLink()
	}
	path = strings.NewReplacer("{id}", id, "{alias}", alias, "{name}", name, "{n}", "1").Replace(path)
	if path == "/api/v1/explain" && method == http.MethodGet {
		path += "?url=http://a/"
	}
	a := s.call(method, path, s.tokens[column], body, header...)
	// What differs in the words alone.
	a.body = strings.NewReplacer(alias, "ALIAS", "\\\""+name+"\\\"", "NAME", app, "ID", run, "ID", a.Header.Get("X-Request-Id"), "REQUEST").Replace(a.body)
	return a
}

// bundleLink is a link to the app's bundle, for the present start of its
// instance.
func (s *scene) bundleLink() string {
	l := controlplane.NewBundleLink(digestOf("a bundle"), s.run, 0, time.Now(), 0)
	signature := "slw_b_forged"
	if s.has("signed") {
		signature = s.service.SignBundleLink(l)
	}
	return api.BundleTarget(l, signature)
}

// secretQuery says which secret the row means.
func (s *scene) secretQuery() string {
	var query []string
	if s.words[0] == http.MethodPost {
		return ""
	}
	switch {
	case s.has("shared"):
		query = append(query, "visibility=ALL_USERS")
	case s.has("parent"):
		query = append(query, "visibility=APP", "parent=app:demo")
	}
	if s.has("reveal") {
		query = append(query, "reveal=true")
	}
	if query == nil {
		return ""
	}
	return "?" + strings.Join(query, "&")
}

func TestEveryOperationAndEveryActor(t *testing.T) {
	var columns []string
	named := map[string]bool{}
	for line := range strings.Lines(walk) {
		row, rest, found := strings.Cut(line, "|")
		if !found {
			continue
		}
		cells := strings.Split(rest, "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		words := strings.Fields(row)
		if len(words) == 0 {
			columns = cells
			continue
		}
		named[words[0]+" "+words[1]] = true
		for i, column := range columns {
			t.Run(strings.Join(words, " ")+" "+column, func(t *testing.T) {
				t.Parallel()
				want, err := strconv.Atoi(cells[i])
				if err != nil {
					t.Fatal(err)
				}
				s := newScene(t, words)
				before := s.records()
				got := s.send(column, false)
				if got.StatusCode != want {
					t.Fatalf("status %d, want %d: %s", got.StatusCode, want, got.body)
				}
				s.check(column, got, before)
			})
		}
	}
	for _, op := range operations(t) {
		if !named[op] {
			t.Errorf("the table does not name %s", op)
		}
		delete(named, op)
	}
	for op := range named {
		t.Errorf("the table names %s, and there is no such operation", op)
	}
}

// check looks at what a status is not enough for: what is hidden is answered as
// what is not there, a refusal changes nothing, and a change leaves one record.
func (s *scene) check(column string, got answer, before int) {
	s.Helper()
	changes := 0
	switch {
	case got.StatusCode == 404:
		absent := s.send(column, true)
		got.Header.Del("X-Request-Id")
		absent.Header.Del("X-Request-Id")
		if absent.StatusCode != 404 || absent.body != got.body || len(absent.Header) != len(got.Header) {
			s.Errorf("what is hidden: %s %v; what is not there: %s %v", got.body, got.Header, absent.body, absent.Header)
		}
	case got.StatusCode == 401:
		if !strings.HasPrefix(got.Header.Get("WWW-Authenticate"), "Bearer") {
			s.Errorf("header %v", got.Header)
		}
	case got.StatusCode < 300 && s.words[0] != http.MethodGet && s.words[1] != "/api/v1/explain":
		changes = 1
		switch {
		case strings.HasSuffix(s.words[1], "/preconditions") || s.has("profile"):
			changes = 0 // nothing has changed since
		case strings.Contains(s.words[1], "/login/device") || strings.HasSuffix(s.words[1], "/ticket"):
			changes = 0 // nothing that lasts
		case s.has("PRIVATE") || len(s.words) == 2 && s.words[0] == http.MethodPatch && !strings.Contains(s.words[1], "tags") && !strings.Contains(s.words[1], "users") ||
			strings.HasSuffix(s.words[1], "/resume"):
			changes = 0 // it was so already
		}
	case got.StatusCode < 300 && s.has("reveal"):
		changes = 1 // a read that is worth a record
	}
	if n := s.records() - before; n != changes {
		s.Errorf("%d audit records, want %d", n, changes)
	}
}

// records counts the audit records.
func (s *scene) records() int {
	s.Helper()
	list, err := s.store.Audit(s.Context(), controlplane.Page{Limit: 1000})
	if err != nil {
		s.Fatal(err)
	}
	return len(list.Items)
}
