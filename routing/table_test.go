package routing

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"
)

func numberedID(i int) (id ID) {
	binary.BigEndian.PutUint64(id[:], uint64(i)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[8:], uint64(i))
	return id
}

// numberedTable holds n routes: instances and an alias for each, with strings
// of their own as a feed decodes them. Instance i is DOMAIN where i%4 < 2, and
// its alias is the primary one where i is odd.
func numberedTable(n int) *Table {
	changes := make([]Change, 0, n)
	for i := 0; len(changes) < n; i++ {
		name := fmt.Sprintf("alias-%d", i)
		endpoint, err := ParseEndpoint(fmt.Sprintf("10.%d.%d.%d:8080", i>>16&255, i>>8&255, i&255))
		if err != nil {
			panic(err)
		}
		changes = append(changes, PutInstance(Instance{
			ID: numberedID(i), App: numberedID(i % 100).String(), Mode: Mode(i / 2 % 2), Status: Deployed,
			Endpoint: endpoint, Generation: 1, Primary: []string{"", name}[i%2],
			Owner:    fmt.Sprintf("user-%d@example.com", i%1000),
			Identity: fmt.Sprintf("process:0123456789abcdef:%d:987654321:%016x:%d", i, i, 1000000+i),
		}))
		if len(changes) < n {
			changes = append(changes, PutAlias(Alias{Name: name, Instance: numberedID(i), Assigned: true}))
		}
	}
	return NewTable().Apply(1, changes)
}

func TestEmptyTables(t *testing.T) {
	for _, tc := range []struct {
		name  string
		table *Table
	}{{"nil", nil}, {"zero", new(Table)}, {"new", NewTable()}} {
		t.Run(tc.name, func(t *testing.T) {
			table := tc.table
			instances, aliases := table.Len()
			if instances != 0 || aliases != 0 || table.Revision() != 0 {
				t.Error("not empty")
			}
			if table.Instance(mustID(t, dom)) != nil || table.Alias("a") != nil || table.aliasOf("A", true) != nil {
				t.Error("found something")
			}
			if n := len(slices.Collect(table.AllInstances())) + len(slices.Collect(table.AllAliases())); n != 0 {
				t.Errorf("yielded %d records", n)
			}
			r := Request{Method: "GET", Host: "a.apps.example.com", Target: "/"}
			if d := table.Decide(testSite(t, false), r); d.Kind != NotFound {
				t.Errorf("decided %s", d.Kind)
			}
			next := table.Apply(3, []Change{PutInstance(Instance{ID: mustID(t, dom)}), {}})
			if n, _ := next.Len(); n != 1 || next.Revision() != 3 {
				t.Errorf("after Apply: %d instances at revision %d", n, next.Revision())
			}
		})
	}
}

func TestApply(t *testing.T) {
	id := numberedID
	before := numberedTable(20000)
	kept, keptAlias := before.Instance(id(5)), before.Alias("alias-5")

	after := before.Apply(9, []Change{
		PutInstance(Instance{ID: id(1), App: "changed"}),
		PutInstance(Instance{ID: id(1), App: "changed again"}),
		PutInstance(Instance{ID: id(1 << 20)}),
		DeleteInstance(id(2)),
		DeleteInstance(id(2)),
		DeleteInstance(id(1 << 21)),
		PutAlias(Alias{Name: "alias-1", Instance: id(3), Assigned: true}),
		PutAlias(Alias{Name: "new"}),
		DeleteAlias("alias-2"),
		DeleteAlias("none"),
		PutAlias(Alias{Name: "brief"}),
		DeleteAlias("brief"),
	})

	for _, tc := range []struct {
		name  string
		table *Table
		want  string
	}{
		{"the old table is as it was", before, "1 10000 10000 app:old 2:true 1048576:false alias-1:1 alias-2:true new:false"},
		{"the new table has all changes", after, "9 10000 10000 app:changed again 2:false 1048576:true alias-1:3 alias-2:false new:true"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			instances, aliases := tc.table.Len()
			app := tc.table.Instance(id(1)).App
			if app == id(1).String() {
				app = "old"
			}
			to := binary.BigEndian.Uint64(tc.table.Alias("alias-1").Instance[8:])
			got := fmt.Sprintf("%d %d %d app:%s 2:%t 1048576:%t alias-1:%d alias-2:%t new:%t",
				tc.table.Revision(), instances, aliases, app,
				tc.table.Instance(id(2)) != nil, tc.table.Instance(id(1<<20)) != nil,
				to, tc.table.Alias("alias-2") != nil, tc.table.Alias("new") != nil)
			if got != tc.want {
				t.Errorf("\n got %s\nwant %s", got, tc.want)
			}
			if n := len(slices.Collect(tc.table.AllInstances())); n != instances {
				t.Errorf("yielded %d instances of %d", n, instances)
			}
			if n := len(slices.Collect(tc.table.AllAliases())); n != aliases {
				t.Errorf("yielded %d aliases of %d", n, aliases)
			}
		})
	}
	if after.Instance(id(5)) != kept || after.Alias("alias-5") != keptAlias {
		t.Error("untouched records were copied")
	}
}

// TestApplyShares counts the leaves that two tables do not have in common.
func TestApplyShares(t *testing.T) {
	before := numberedTable(50000)
	for _, tc := range []struct {
		name    string
		changes []Change
		most    int
	}{
		{"no change", nil, 0},
		{"one alias moved", []Change{PutAlias(Alias{Name: "alias-7"})}, 1},
		{"one instance deleted", []Change{DeleteInstance(numberedID(7))}, 1},
		{"nothing deleted", []Change{DeleteInstance(numberedID(1 << 30))}, 0},
		{"an alias moved and promoted", []Change{
			PutAlias(Alias{Name: "alias-7"}), PutInstance(Instance{ID: numberedID(7)}), PutInstance(Instance{ID: numberedID(8)}),
		}, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			after := before.Apply(2, tc.changes)
			got := unshared(&before.instances, &after.instances) + unshared(&before.aliases, &after.aliases)
			if got > tc.most {
				t.Errorf("%d leaves were cloned, want at most %d", got, tc.most)
			}
		})
	}
}

func unshared[V any](a, b *shards[V]) (count int) {
	for number := range uint64(1 << shardBits) {
		hash := number << (64 - shardBits)
		if unsafe.SliceData(a.slots(hash)) != unsafe.SliceData(b.slots(hash)) {
			count++
		}
	}
	return count
}

// TestHashes: no making of IDs or names crowds a leaf, or a place in leaves.
func TestHashes(t *testing.T) {
	const n = 1 << 17
	for name, hash := range map[string]func(i int) uint64{
		"counted at the end":       func(i int) uint64 { return ID{15: byte(i), 14: byte(i >> 8), 13: byte(i >> 16)}.hash() },
		"counted at the beginning": func(i int) uint64 { return ID{0: byte(i), 1: byte(i >> 8), 2: byte(i >> 16)}.hash() },
		"random":                   func(i int) uint64 { return numberedID(i).hash() },
		"names":                    func(i int) uint64 { return nameHash(fmt.Sprint("alias-", i)) },
	} {
		t.Run(name, func(t *testing.T) {
			leaves, places := map[uint64]int{}, map[uint64]int{}
			for i := range n {
				leaves[hash(i)>>(64-shardBits)]++
				places[hash(i)%(1<<shardBits)]++
			}
			for what, sizes := range map[string]map[uint64]int{"leaf": leaves, "place": places} {
				if largest := slices.Max(slices.Collect(maps.Values(sizes))); largest > 4*n>>shardBits {
					t.Errorf("%d of %d keys are in one %s", largest, n, what)
				}
			}
		})
	}
}

// TestEqualHashes: records whose hashes are the same, or near each other, are
// told apart, whichever of them are removed.
func TestEqualHashes(t *testing.T) {
	same := func(a, b *string) bool { return *a == *b }
	r := rand.New(rand.NewPCG(1, 1))
	var table shards[string]
	want := map[string]uint64{}
	for round := range 300 {
		older, olderWant := table, maps.Clone(want)
		e := editor[string]{shards: &table, same: same}
		for range 20 {
			key := fmt.Sprint(r.IntN(60))
			hash := uint64(len(key)) + uint64(key[0])%4 // nine hashes in one leaf
			if r.IntN(2) == 0 {
				e.put(hash, &key)
				want[key] = hash
			} else {
				e.remove(hash, &key)
				delete(want, key)
			}
		}
		for _, at := range []struct {
			shards *shards[string]
			want   map[string]uint64
		}{{&table, want}, {&older, olderWant}} {
			if at.shards.count != len(at.want) {
				t.Fatalf("round %d: counts %d records of %d", round, at.shards.count, len(at.want))
			}
			for key, hash := range at.want {
				if _, found := e.find(at.shards.slots(hash), hash, &key); !found {
					t.Fatalf("round %d: %s is lost", round, key)
				}
			}
			n := 0
			at.shards.all(func(*string) bool { n++; return true })
			if n != len(at.want) {
				t.Fatalf("round %d: yields %d records of %d", round, n, len(at.want))
			}
		}
	}
}

// Readers see whole revisions: the alias and the instance's primary always
// change together.
func TestReadersDuringApply(t *testing.T) {
	x := mustID(t, dom)
	state := func(primary string) []Change {
		return []Change{
			PutInstance(Instance{ID: x, Primary: primary}),
			PutAlias(Alias{Name: "a", Instance: x, Assigned: true}),
			PutAlias(Alias{Name: "b", Instance: x, Assigned: true}),
		}
	}
	site := testSite(t, false)
	var current atomic.Pointer[Table]
	current.Store(numberedTable(2000).Apply(2, state("a")))
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				table := current.Load()
				a := table.Decide(site, Request{Method: "GET", Host: "A.apps.example.com", Target: "/"})
				b := table.Decide(site, Request{Method: "GET", Host: "b.apps.example.com", Target: "/"})
				if (a.Kind == Serve) == (b.Kind == Serve) {
					t.Errorf("revision %d: a is %s, b is %s", table.Revision(), short(a), short(b))
					return
				}
			}
		})
	}
	for i := range 3000 {
		table := current.Load()
		current.Store(table.Apply(table.Revision()+1, state([]string{"a", "b"}[i%2])))
	}
	close(stop)
	readers.Wait()
}
