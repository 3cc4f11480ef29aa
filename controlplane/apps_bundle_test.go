package controlplane_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/blobs"
)

// meeting is a store whose next transaction first lets others do something, and
// fails for good if err says so.
type meeting struct {
	controlplane.Store
	first func()
	err   error
}

func (m *meeting) Update(ctx context.Context, f func(controlplane.Tx) error) (int64, error) {
	if first := m.first; first != nil {
		m.first = nil
		first()
		if m.err != nil {
			return 0, m.err
		}
	}
	return m.Store.Update(ctx, f)
}

// Two control planes import the same bytes at once, and one of the imports
// fails: the other's bundle stays.
func TestAnImportThatFailsTakesNoBundleFromAnother(t *testing.T) {
	refused := controlplane.Errorf(controlplane.CodeQuota, "no more apps")
	for name, c := range map[string]struct{ outer, inner error }{
		"the one that committed first fails":    {outer: refused},
		"the one that committed second fails":   {inner: refused},
		"both fail":                             {outer: refused, inner: refused},
		"the one that comes too late conflicts": {},
	} {
		t.Run(name, func(t *testing.T) {
			in := install(t)
			folder, err := blobs.New(in.blobs)
			if err != nil {
				t.Fatal(err)
			}
			cfg := in.Config
			cfg.Blobs, cfg.Store = folder, &meeting{Store: in.store, first: func() {}, err: c.inner}
			other := controlplane.NewService(cfg)
			good := archive(t, demo("demo", "1", "", ""))
			in.Store = &meeting{Store: in.store, err: c.outer, first: func() {
				_, _, err := other.ImportApp(t.Context(), ada, bytes.NewReader(good), "")
				if want := controlplane.CodeOf(c.inner); controlplane.CodeOf(err) != want {
					t.Errorf("the other import: %v", err)
				}
			}}
			_, _, err = in.ImportApp(t.Context(), ada, bytes.NewReader(good), "")
			if wins := c.outer == nil && c.inner != nil; wins != (err == nil) {
				t.Errorf("import: %v", err)
			}
			in.Store = in.store
			apps, err := in.Apps(t.Context(), ada, controlplane.Page{})
			if err != nil {
				t.Fatal(err)
			}
			want := 1
			if c.outer != nil && c.inner != nil {
				want = 0
			}
			if len(apps.Items) != want || in.bundles() != want {
				t.Errorf("%d apps, %d files", len(apps.Items), in.bundles())
			}
			for _, app := range apps.Items {
				_, blob, err := in.OpenBundle(t.Context(), ada, app.ID)
				if err != nil {
					t.Fatalf("the bundle of the app is gone: %v", err)
				}
				blob.Close()
			}
		})
	}
}
