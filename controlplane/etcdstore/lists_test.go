package etcdstore_test

import (
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

// titles reads the list of apps to its end, in pages of that size, beginning
// with this one.
func titles(t *testing.T, store controlplane.Store, p controlplane.Page) map[string]string {
	t.Helper()
	out := map[string]string{}
	for {
		list, err := store.Apps(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list.Items {
			out[a.ID] = a.Title
		}
		if p.After, p.Revision = list.NextAfter, list.Revision; p.After == "" {
			return out
		}
	}
}

// The same app is changed at the same revision before a backup is restored and
// after it: a list that remembers what it read must not take the one for the
// other, though the store is further on than it ever was.
func TestListsAreOfTheStoreThatWasRestored(t *testing.T) {
	t.Parallel()
	server := etcdtest.New(t)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := worldOn(t, server)
	apps := []*controlplane.App{newApp("a"), newApp("b"), newApp("c"), newApp("d"), newApp("e")}
	for _, a := range apps {
		w.put(a)
	}
	server.Stop()
	restore := server.Backup(t)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	change := func(w *world, title string) (revision int64) {
		for _, a := range apps {
			a.Title = title
			revision = w.put(a)
		}
		return revision
	}
	before := change(w, "before")
	gone := newApp("gone")
	w.put(gone)
	same(t, "what there is before", len(titles(t, w, controlplane.Page{Limit: 2})), 6)
	first, err := w.Apps(t.Context(), controlplane.Page{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Owned(t.Context(), "ada", first.Revision); err != nil {
		t.Fatal(err)
	}

	server.Stop()
	restore()
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := worldOn(t, server) // nothing that w asks tells it of the restore
	same(t, "the revision of the change", change(other, "restored"), before)
	later := newApp("later")
	for range 5 {
		other.put(later)
	}

	want := map[string]string{later.ID: "later"}
	for _, a := range apps {
		want[a.ID] = "restored"
	}
	same(t, "the list after the restore", titles(t, w, controlplane.Page{Limit: 2}), want)
	// A walk that began before ends in what the store has at that revision now.
	for id, title := range titles(t, w, controlplane.Page{Limit: 2, After: first.NextAfter, Revision: first.Revision}) {
		if id == gone.ID || title == "before" {
			t.Errorf("app %s is %q", id, title)
		}
	}
	owned, err := w.Owned(t.Context(), "ada", first.Revision)
	if err != nil {
		t.Fatal(err)
	}
	if owned.Apps[gone.ID] || !owned.Apps[apps[0].ID] {
		t.Errorf("ada owns %v", owned.Apps)
	}
}

// What one control plane writes is in the next list of another, whatever that
// has read before.
func TestListsAreTheSameAtEveryControlPlane(t *testing.T) {
	server := etcdtest.Shared(t)
	one, two := worldOn(t, server), worldOn(t, server)
	var apps []*controlplane.App
	for i := range 7 {
		apps = append(apps, newApp(numbered(i)))
		one.put(apps[i])
	}
	want := map[string]string{}
	for round, title := range []string{"first", "second", "third"} {
		for i, a := range apps {
			if a.Title = title; i%2 == round%2 {
				one.put(a)
				want[a.ID] = title
			}
			if _, written := want[a.ID]; !written {
				want[a.ID] = numbered(i)
			}
		}
		gone := apps[len(apps)-1]
		apps = apps[:len(apps)-1]
		delete(want, gone.ID)
		one.update(func(tx controlplane.Tx) error { return tx.Delete(gone) })
		added := newApp("added " + title)
		one.put(added)
		want[added.ID] = added.Title
		for _, w := range []*world{two, one} {
			for _, limit := range []int{1, 3, 100} {
				same(t, title, titles(t, w, controlplane.Page{Limit: limit}), want)
			}
		}
	}
}

// A walk reads far ahead, and yet every page begins where it is asked to.
func TestPagesOfAWalkInAnyOrder(t *testing.T) {
	w := newWorld(t)
	for i := range 12 {
		w.put(newAlias(numbered(i), ""))
	}
	first, err := w.Aliases(t.Context(), controlplane.Page{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	w.put(newAlias("app-005x", "")) // of another revision
	for _, c := range []struct {
		name  string
		page  controlplane.Page
		first string
		n     int
		more  bool
	}{
		{"second", controlplane.Page{Limit: 4, After: numbered(1)}, numbered(2), 4, true},
		{"again", controlplane.Page{Limit: 4, After: numbered(1)}, numbered(2), 4, true},
		{"to the end", controlplane.Page{Limit: 4, After: numbered(7)}, numbered(8), 4, false},
		{"before the walk", controlplane.Page{Limit: 3, After: numbered(0)}, numbered(1), 3, true},
		{"beyond the page before", controlplane.Page{Limit: 100, After: numbered(4)}, numbered(5), 7, false},
		{"between two keys", controlplane.Page{Limit: 1, After: "app-0055"}, numbered(6), 1, true},
		{"of a prefix", controlplane.Page{Limit: 9, After: numbered(3), Prefix: "app-00"}, numbered(4), 6, false},
		{"at the end", controlplane.Page{Limit: 9, After: numbered(11)}, "", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.page.Revision = first.Revision
			list, err := w.Aliases(t.Context(), c.page)
			if err != nil {
				t.Fatal(err)
			}
			name := ""
			if len(list.Items) > 0 {
				name = list.Items[0].Name
			}
			if name != c.first || len(list.Items) != c.n || (list.NextAfter != "") != c.more || list.Revision != first.Revision {
				t.Errorf("%d items from %q, next %q, revision %d", len(list.Items), name, list.NextAfter, list.Revision)
			}
		})
	}
}
