package etcdstore_test

import (
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func TestPagesAreOfOneRevision(t *testing.T) {
	w := newWorld(t)
	const n = 25
	want := map[string]bool{}
	var last *controlplane.App
	for i := range n {
		last = newApp(numbered(i))
		want[last.ID] = true
		w.put(last)
	}
	page := controlplane.Page{Limit: 10}
	var sizes []int
	var revision int64
	for {
		apps, err := w.Apps(t.Context(), page)
		if err != nil {
			t.Fatal(err)
		}
		if revision == 0 {
			revision = apps.Revision
		}
		same(t, "revision of the page", apps.Revision, revision)
		sizes = append(sizes, len(apps.Items))
		for _, a := range apps.Items {
			if !want[a.ID] {
				t.Errorf("app %s is listed twice or new", a.Name)
			}
			delete(want, a.ID)
		}
		if apps.NextAfter == "" {
			break
		}
		// What comes and goes between two pages is of another revision.
		w.put(newApp("later"))
		w.update(func(tx controlplane.Tx) error { return tx.Delete(last) })
		page.After, page.Revision = apps.NextAfter, apps.Revision
	}
	same(t, "sizes", sizes, []int{10, 10, 5})
	same(t, "left out", want, map[string]bool{})
}

func TestLimits(t *testing.T) {
	w := newWorld(t)
	for range 11 {
		w.update(func(tx controlplane.Tx) error {
			for range 30 {
				if err := tx.Put(newAlias(newApp("x").ID[:23], "")); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for limit, want := range map[int]int{0: 100, -1: 100, 1: 1, 150: 150, 1000: 330, 5000: 330} {
		got, err := w.Aliases(t.Context(), controlplane.Page{Limit: limit})
		if err != nil || len(got.Items) != want {
			t.Errorf("limit %d: %d items, %v; want %d", limit, len(got.Items), err, want)
		}
	}
}

func TestPrefixAndAfter(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a", "ab", "abc", "b", "bcd"} {
		w.put(newAlias(name, ""))
	}
	for name, c := range map[string]struct {
		page controlplane.Page
		want []string
	}{
		"all":                     {controlplane.Page{}, []string{"a", "ab", "abc", "b", "bcd"}},
		"prefix":                  {controlplane.Page{Prefix: "ab"}, []string{"ab", "abc"}},
		"after":                   {controlplane.Page{After: "ab"}, []string{"abc", "b", "bcd"}},
		"after what is not there": {controlplane.Page{After: "abb"}, []string{"abc", "b", "bcd"}},
		"prefix and after":        {controlplane.Page{Prefix: "a", After: "ab"}, []string{"abc"}},
		"after before the prefix": {controlplane.Page{Prefix: "b", After: "ab"}, []string{"b", "bcd"}},
		"after behind the prefix": {controlplane.Page{Prefix: "a", After: "bb"}, []string{}},
		"after everything":        {controlplane.Page{After: "\xff\xff"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := w.Aliases(t.Context(), c.page)
			if err != nil {
				t.Fatal(err)
			}
			names := []string{}
			for _, a := range list.Items {
				names = append(names, a.Name)
			}
			same(t, "names", names, c.want)
		})
	}
}

func TestACursorOfAnotherTimeIsStale(t *testing.T) {
	w := newWorld(t)
	rev := w.put(newApp("old"))
	now := w.put(newApp("new"))
	if _, err := w.client.Compact(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	for name, rev := range map[string]int64{"compacted": rev, "of a store that was newer": now + 1000} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Apps(t.Context(), controlplane.Page{Revision: rev})
			wantCode(t, err, controlplane.CodeStale)
		})
	}
	if _, err := w.Apps(t.Context(), controlplane.Page{Revision: now}); err != nil {
		t.Error(err)
	}
}

func TestInstancesAreListedWithTheirRevision(t *testing.T) {
	w := newWorld(t)
	in := newInstance(newApp("demo"))
	w.put(in)
	list, err := w.Instances(t.Context(), controlplane.Page{Prefix: in.ID[:6]})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "instances", list.Items, []*controlplane.Instance{in})
}
