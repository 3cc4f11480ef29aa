package controlplane_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/seed-dbc68772/slipway/controlplane"
)

const (
	container = "[App]\nName = \"box\"\nVersion = \"1\"\n[Runtime]\nAppMode = \"container\"\nCustomImage = \"example.com/box:1\"\nPort = 8080\n"
	manual    = "[App]\nName = \"there\"\nVersion = \"1\"\n[Runtime]\nAppMode = \"manual\"\nAddress = \"http://10.0.0.1:80\"\n"
)

func TestImport(t *testing.T) {
	in := install(t)
	app := in.mustImport(ada, demo("Demo", "1.2", "Title = \"A demo\"\nTags = [\"x\"]", "RoutingMode = \"BASE_URL\""))
	got, err := in.App(t.Context(), ada, app.ID[:6])
	wantCode(t, err, "")
	same(t, "app", got, app)
	if got.Owner != "ada" || got.Visibility != controlplane.Private || got.RoutingMode != controlplane.BaseURL || got.Title != "A demo" {
		t.Errorf("app %+v", got)
	}
	same(t, "time", got.CreatedAt.Format("15:04:05.999999999Z07"), "11:00:00.123456Z")
	blob, err := in.Blobs.Open(t.Context(), app.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	blob.Close()
	other := in.mustImport(ada, demo("Other", "1", "", ""))
	if other.RoutingMode != controlplane.Domain || other.Tags == nil {
		t.Errorf("defaults: mode %s, tags %v", other.RoutingMode, other.Tags)
	}
}

// failing is a store that breaks after the bundle was committed.
type failing struct{ controlplane.Store }

var errBroken = controlplane.Errorf(controlplane.CodeUnavailable, "the store does not answer")

func (failing) Update(context.Context, func(controlplane.Tx) error) (int64, error) {
	return 0, errBroken
}

func TestAnImportIsAllOrNothing(t *testing.T) {
	good := archive(t, demo("demo", "1", "", ""))
	for name, c := range map[string]struct {
		body    io.Reader
		actor   controlplane.Actor
		v       controlplane.Visibility
		prepare func(*installation)
		code    controlplane.Code
	}{
		"store fails":     {bytes.NewReader(good), ada, "", func(in *installation) { in.Store = failing{in.store} }, controlplane.CodeUnavailable},
		"upload breaks":   {io.MultiReader(bytes.NewReader(good[:20]), iotest.ErrReader(io.ErrUnexpectedEOF)), ada, "", nil, controlplane.CodeInvalid},
		"too large":       {bytes.NewReader(good), ada, "", func(in *installation) { in.MaxUpload = int64(len(good)) - 1 }, controlplane.CodeTooLarge},
		"no archive":      {strings.NewReader("hello"), ada, "", nil, controlplane.CodeInvalid},
		"nothing at all":  {strings.NewReader(""), ada, "", nil, controlplane.CodeInvalid},
		"visibility":      {bytes.NewReader(good), ada, "SECRET", nil, controlplane.CodeInvalid},
		"container, user": {bytes.NewReader(archive(t, container)), ada, "", nil, controlplane.CodeForbidden},
		"manual, user":    {bytes.NewReader(archive(t, manual)), ada, "", nil, controlplane.CodeForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			in := install(t)
			if c.prepare != nil {
				c.prepare(in)
			}
			_, _, err := in.ImportApp(t.Context(), c.actor, c.body, c.v)
			wantCode(t, err, c.code)
			if c.code == controlplane.CodeUnavailable {
				// Nobody knows whether the record was written: the next start looks.
				in.Store = in.store
				if err := in.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if n := in.bundles(); n != 0 {
				t.Errorf("%d files are left of a failed import", n)
			}
			apps, err := in.store.Apps(t.Context(), controlplane.Page{})
			if err != nil || len(apps.Items) != 0 {
				t.Errorf("apps %v, %v", apps.Items, err)
			}
		})
	}
	t.Run("exactly the limit", func(t *testing.T) {
		in := install(t)
		in.MaxUpload = int64(len(good))
		_, _, err := in.ImportApp(t.Context(), ada, bytes.NewReader(good), "")
		wantCode(t, err, "")
	})
}

// brokenBlobs cannot be written to.
type brokenBlobs struct{ controlplane.Blobs }

func (b brokenBlobs) Create(ctx context.Context) (controlplane.PendingBlob, error) {
	p, err := b.Blobs.Create(ctx)
	return fullDisk{p}, err
}

type fullDisk struct{ controlplane.PendingBlob }

func (fullDisk) Write([]byte) (int, error) {
	return 0, &controlplane.Error{Code: controlplane.CodeInternal, What: "write blob", Cause: errors.New("no space left on device")}
}

func TestAFullDiskIsNotTheUploadersFault(t *testing.T) {
	in := install(t)
	in.Blobs = brokenBlobs{in.Blobs}
	_, err := in.importApp(ada, demo("demo", "1", "", ""))
	wantCode(t, err, controlplane.CodeInternal, "no space left")
}

// endless is an upload that never ends, and counts what is read of it.
type endless struct{ read int64 }

func (e *endless) Read(b []byte) (int, error) {
	if e.read > 64<<20 {
		return 0, errors.New("nobody stops reading")
	}
	e.read += int64(len(b))
	return len(b), nil
}

func TestAnUploadIsReadUpToTheLimit(t *testing.T) {
	in := install(t)
	upload := &endless{}
	_, _, err := in.ImportApp(t.Context(), ada, upload, "")
	wantCode(t, err, controlplane.CodeTooLarge)
	if most := in.MaxUpload + 64<<10; upload.read > most { // one buffer more
		t.Errorf("%d bytes were read of a limit of %d", upload.read, in.MaxUpload)
	}
	if n := in.bundles(); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

func TestTheSameAgainIsAConflict(t *testing.T) {
	in := install(t)
	manifest := demo("Demo", "1", "", "")
	app := in.mustImport(ada, manifest)
	candidate := in.mustImport(ada, demo("Demo", "1.0.0-rc1", "", ""))
	for name, c := range map[string]struct {
		actor    controlplane.Actor
		manifest string
		of       string
	}{
		"the same bytes":   {ada, manifest, app.ID},
		"other bytes":      {ada, demo("Demo", "1", "Title = \"Other\"", ""), app.ID},
		"another spelling": {ada, demo("dEMO", "1", "", ""), app.ID},
		"of the version":   {ada, demo("Demo", "1.0.0-RC1", "", ""), candidate.ID},
		"an admin":         {admin, manifest, app.ID},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := in.importApp(c.actor, c.manifest)
			wantCode(t, err, controlplane.CodeConflict, c.of)
		})
	}
	// A refused import of the same bytes must not take the bundle away.
	blob, err := in.Blobs.Open(t.Context(), app.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	blob.Close()
	if n := in.bundles(); n != 2 {
		t.Errorf("%d files, want those of the two apps", n)
	}
}

func TestAnAppNameBelongsToWhoImportedItFirst(t *testing.T) {
	in := install(t)
	first := in.mustImport(ada, demo("Demo", "1", "", ""))
	for name, c := range map[string]struct {
		actor   controlplane.Actor
		version string
		code    controlplane.Code
	}{
		"its owner":      {ada, "2", ""},
		"somebody else":  {bob, "3", controlplane.CodeForbidden},
		"nobody":         {controlplane.Actor{}, "4", controlplane.CodeUnauthorized},
		"an admin":       {admin, "5", ""},
		"still not bobs": {bob, "6", controlplane.CodeForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := in.importApp(c.actor, demo("demo", c.version, "", ""))
			wantCode(t, err, c.code)
		})
	}
	if _, err := in.DeleteApp(t.Context(), ada, first.ID, false); err != nil {
		t.Fatal(err)
	}
	_, err := in.importApp(bob, demo("demo", "1", "", ""))
	wantCode(t, err, controlplane.CodeForbidden)
}

func TestWhoMayImportAndRunWhat(t *testing.T) {
	for name, c := range map[string]struct {
		manifest string
		importer controlplane.Actor
		runner   controlplane.Actor
		code     controlplane.Code
		hidden   bool // the app is PRIVATE; it is ALL_USERS otherwise
	}{
		"on demand by anybody":        {demo("d", "1", "", ""), ada, bob, "", false},
		"container by an admin":       {container, admin, bob, "", false},
		"manual by an admin":          {manual, admin, admin, "", false},
		"managed by its owner":        {demo("d", "1", "InstanceLifecycle = \"MANAGED\"", ""), ada, ada, "", false},
		"managed by an admin":         {demo("d", "1", "InstanceLifecycle = \"MANAGED\"", ""), ada, admin, "", false},
		"hidden, by somebody else":    {demo("d", "1", "", ""), ada, bob, controlplane.CodeNotFound, true},
		"managed by somebody else":    {demo("d", "1", "InstanceLifecycle = \"MANAGED\"", ""), ada, bob, controlplane.CodeForbidden, false},
		"link by its owner":           {link, ada, ada, controlplane.CodeConflict, false},
		"link by an admin":            {link, ada, admin, controlplane.CodeConflict, false},
		"secret that is not there":    {demo("d", "1", "", "[[Env]]\nName = \"A\"\nSecret = \"s\"\nSecretKey = \"k\""), ada, ada, controlplane.CodeConflict, false},
		"optional secret, not there":  {demo("d", "1", "", "[[Env]]\nName = \"A\"\nSecret = \"s\"\nSecretKey = \"k\"\nOptional = true"), ada, ada, "", false},
		"file of a secret, not there": {demo("d", "1", "", "[[File]]\nPath = \"secrets/a\"\nSecret = \"s\"\nSecretKey = \"k\""), ada, ada, controlplane.CodeConflict, false},
	} {
		t.Run(name, func(t *testing.T) {
			in := install(t)
			app := in.mustImport(c.importer, c.manifest)
			if !c.hidden {
				in.show(app)
			}
			run, err := in.RunApp(t.Context(), c.runner, app.ID, "")
			wantCode(t, err, c.code)
			if err == nil && (run.Owner != c.runner.User || run.Status != controlplane.Pending || run.Generation != 1 || run.Visibility != controlplane.Private) {
				t.Errorf("instance %+v", run)
			}
		})
	}
}

func TestRunTellsEveryReason(t *testing.T) {
	in := install(t)
	in.cannot = []controlplane.Reason{{Code: controlplane.NeedsMountNamespace, Text: "no namespaces"}}
	app := in.mustImport(ada, demo("d", "1", "", "[[Env]]\nName = \"A\"\nSecret = \"s\"\nSecretKey = \"k\""))
	_, err := in.RunApp(t.Context(), ada, app.ID, "")
	known, ok := errors.AsType[*controlplane.Error](err)
	if !ok || known.Code != controlplane.CodeConflict {
		t.Fatalf("error %v", err)
	}
	var codes []string
	for _, f := range known.Faults {
		codes = append(codes, f.Code)
	}
	same(t, "reasons", codes, []string{"missing_secret", "needs_mount_namespace"})
	_, err = in.RunApp(t.Context(), ada, app.ID, "SECRET")
	wantCode(t, err, controlplane.CodeInvalid)
	_, err = in.RunApp(t.Context(), ada, "0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01", "")
	wantCode(t, err, controlplane.CodeNotFound)
}

func TestDeleteApp(t *testing.T) {
	for name, c := range map[string]struct {
		actor     controlplane.Actor
		instances int
		force     bool
		code      controlplane.Code
		status    controlplane.Status // of the instances afterwards
	}{
		"by its owner":                  {ada, 0, false, "", ""},
		"by an admin":                   {admin, 0, false, "", ""},
		"by somebody else":              {bob, 0, false, controlplane.CodeNotFound, ""},
		"by somebody else, forced":      {bob, 1, true, controlplane.CodeNotFound, controlplane.Pending},
		"with instances":                {ada, 2, false, controlplane.CodeConflict, controlplane.Pending},
		"with instances, owner, forced": {ada, 2, true, controlplane.CodeForbidden, controlplane.Pending},
		"with instances, admin, forced": {admin, 2, true, controlplane.CodeConflict, controlplane.Terminating},
	} {
		t.Run(name, func(t *testing.T) {
			in := install(t)
			app := in.mustImport(ada, demo("d", "1", "", ""))
			var runs []*controlplane.Instance
			for range c.instances {
				runs = append(runs, in.mustRun(ada, app))
			}
			_, err := in.DeleteApp(t.Context(), c.actor, app.ID, c.force)
			wantCode(t, err, c.code)
			for _, run := range runs {
				got, err := in.Instance(t.Context(), ada, run.ID)
				wantCode(t, err, "")
				same(t, "status", got.Status, c.status)
			}
			if c.status == controlplane.Terminating {
				for _, run := range runs {
					in.gone(run.ID)
				}
				_, err = in.DeleteApp(t.Context(), c.actor, app.ID, c.force)
				wantCode(t, err, "")
			}
			if gone := err == nil; gone != (in.bundles() == 0) {
				t.Errorf("app gone: %v; %d bundles", gone, in.bundles())
			}
		})
	}
}

// Two apps of the same bytes cannot be, but versions of a bundle may share it
// with an app that was deleted and imported again.
func TestAnAppCanComeBack(t *testing.T) {
	in := install(t)
	manifest := demo("d", "1", "", "")
	first := in.mustImport(ada, manifest)
	if _, err := in.DeleteApp(t.Context(), ada, first.ID, false); err != nil {
		t.Fatal(err)
	}
	_, err := in.DeleteApp(t.Context(), ada, first.ID, false)
	wantCode(t, err, controlplane.CodeNotFound)
	again := in.mustImport(ada, manifest)
	if again.ID == first.ID {
		t.Error("it has the ID of the deleted one")
	}
}

func TestIDsMayBePrefixes(t *testing.T) {
	in := install(t)
	app := in.mustImport(ada, demo("d", "1", "", ""))
	put := func(id string) {
		_, err := in.store.Update(t.Context(), func(tx controlplane.Tx) error {
			copied := *in.instanceOf(app)
			copied.ID = id
			return tx.Put(&copied)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	put("aaaaaaaa-0000-4000-8000-000000000001")
	put("aaaaaaaa-0000-4000-8000-000000000002")
	put("bbbbbbbb-0000-4000-8000-000000000001")
	for id, want := range map[string]struct {
		id   string
		code controlplane.Code
	}{
		"bbbbbb":                               {id: "bbbbbbbb-0000-4000-8000-000000000001"},
		"BBBBBBBB-0":                           {id: "bbbbbbbb-0000-4000-8000-000000000001"},
		"aaaaaaaa-0000-4000-8000-000000000002": {id: "aaaaaaaa-0000-4000-8000-000000000002"},
		"bbbbb":                                {code: controlplane.CodeNotFound},
		"":                                     {code: controlplane.CodeNotFound},
		"cccccc":                               {code: controlplane.CodeNotFound},
		"../apps":                              {code: controlplane.CodeNotFound},
		strings.Repeat("a", 37):                {code: controlplane.CodeNotFound},
		strings.Repeat("a", 36):                {code: controlplane.CodeNotFound},
		"aaaaaa":                               {code: controlplane.CodeInvalid},
	} {
		t.Run(id, func(t *testing.T) {
			got, err := in.Instance(t.Context(), ada, id)
			wantCode(t, err, want.code)
			if err == nil {
				same(t, "ID", got.ID, want.id)
			}
		})
	}
}

// instanceOf is a record that nothing has written.
func (in *installation) instanceOf(app *controlplane.App) *controlplane.Instance {
	return &controlplane.Instance{AppID: app.ID, Owner: "ada", Status: controlplane.Pending, Visibility: controlplane.Private, RoutingMode: controlplane.Domain, Generation: 1}
}
