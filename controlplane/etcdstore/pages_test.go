package etcdstore_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

// A list of several responses is of one revision, whatever changes meanwhile;
// the watch goes on right after it.
func TestAListInPagesIsOfOneRevision(t *testing.T) {
	server := etcdtest.Shared(t)
	w := worldOn(t, server)
	store, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{server.Endpoint()}, Prefix: w.prefix, ListPage: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	var keys []string
	for i := range 10 {
		keys = append(keys, fmt.Sprintf("routes/%d", i))
		w.rawPut(keys[i], "before")
	}
	for name, want := range map[string][]int{"paged": {3, 3, 3, 1}, "whole": {10}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var (
				sizes  []int
				listed []string
				at     int64
			)
			store.Follow(ctx, "routes/", etcdstore.FeedConfig{Paged: name == "paged"}, func(b etcdstore.Batch) {
				if !b.Full {
					// What was written between the pages.
					if len(b.Events) > 0 && (b.Events[0].Key != "routes/9" || b.Revision <= at) {
						t.Errorf("after the list: %+v", b)
					}
					if len(b.Events) > 0 {
						cancel()
					}
					return
				}
				if b.First != (len(sizes) == 0) || b.More != (len(listed)+len(b.Events) < len(keys)) || at != 0 && b.Revision != at {
					t.Errorf("page %d: first %t, more %t, revision %d after %d", len(sizes), b.First, b.More, b.Revision, at)
				}
				sizes, at = append(sizes, len(b.Events)), b.Revision
				for _, e := range b.Events {
					listed = append(listed, e.Key)
					if string(e.Value) == "between "+name {
						t.Errorf("the list has what was written after its revision: %+v", e)
					}
				}
				if b.First {
					w.rawPut("routes/9", "between "+name)
				}
			})
			if !slices.Equal(sizes, want) || !slices.Equal(listed, keys) {
				t.Errorf("pages of %v with %v", sizes, listed)
			}
		})
	}
	var listed []string
	err = store.ListAt(t.Context(), "routes/", 0, func(page []etcdstore.Event) error {
		for _, e := range page {
			listed = append(listed, e.Key)
		}
		return nil
	})
	if err != nil || !slices.Equal(listed, keys) {
		t.Errorf("ListAt gives %v, %v", listed, err)
	}
}
