package snapshot_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/caddymodule/routes/snapshot"
	"github.com/seed-dbc68772/slipway/routing"
)

var header = snapshot.Header{Cluster: 0xfedcba9876543210, Prefix: "/slipway/v1/"}

// numbered is a table of n instances, n/5 aliases, and n/10 policies and as many
// other records.
func numbered(n int, revision int64) *routing.Table {
	changes := make([]routing.Change, 0, n+n/5)
	for i := range n {
		id, _ := routing.ParseID(fmt.Sprintf("%08x-1111-4222-8333-444444444444", i))
		in := routing.Instance{
			ID: id, App: fmt.Sprintf("app-%d", i%100), Owner: fmt.Sprintf("user-%d", i%1000), Generation: int64(i),
			Mode: routing.Mode(i % 2), Status: routing.Status(i % 7), Visibility: routing.Visibility(i % 3), Wake: routing.WakePolicy(i % 3),
		}
		if in.Status == routing.Deployed {
			in.Endpoint, _ = routing.ParseEndpoint(fmt.Sprintf("10.%d.%d.%d:8080", i>>16, i>>8&0xff, i&0xff))
			in.Identity = fmt.Sprintf("whose %d is", i)
		}
		if i%5 == 0 {
			in.Primary = fmt.Sprintf("alias-%d", i)
			changes = append(changes, routing.PutAlias(routing.Alias{Name: in.Primary, Instance: id, Assigned: i%10 == 0}))
		}
		changes = append(changes, routing.PutInstance(in))
		if i%10 == 0 {
			p := routing.Policy{App: in.App, Owner: in.Owner, Title: "An app", Managed: i%20 == 0, Visibility: in.Visibility, Identity: i%30 == 0}
			for role := range i % 4 {
				p.VisitorRoles = append(p.VisitorRoles, fmt.Sprintf("role-%d", role))
			}
			changes = append(changes, routing.PutPolicy(p),
				routing.PutRecord(routing.Record{Name: fmt.Sprintf("revoked/user/%d", i), Value: `{"epoch":1}`, Epoch: int64(i) - 5}))
		}
	}
	return routing.NewTable().Apply(revision, changes)
}

func same(t testing.TB, got, want *routing.Table) {
	t.Helper()
	if got == nil {
		t.Fatal("no table")
	}
	a, b := contents(got), contents(want)
	if diff := cmp.Diff(b, a); diff != "" {
		t.Fatalf("another table (-want +got):\n%s", diff)
	}
}

func contents(table *routing.Table) map[string]string {
	all := map[string]string{"revision": fmt.Sprint(table.Revision())}
	for in := range table.AllInstances() {
		all[in.ID.String()] = fmt.Sprintf("%+v", *in)
	}
	for a := range table.AllAliases() {
		all["alias "+a.Name] = fmt.Sprintf("%+v", *a)
	}
	for p := range table.AllPolicies() {
		all["policy "+p.App] = fmt.Sprintf("%+v", *p)
	}
	for r := range table.AllRecords() {
		all["record "+r.Name] = fmt.Sprintf("%+v", *r)
	}
	return all
}

func written(t testing.TB, table *routing.Table) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := snapshot.Write(&out, header, table); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestATableIsReadAsItWasWritten(t *testing.T) {
	odd, _ := routing.ParseID("0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01")
	for name, table := range map[string]*routing.Table{
		"empty":   routing.NewTable(),
		"one":     numbered(1, 1),
		"many":    numbered(5000, 1<<40),
		"strange": routing.NewTable().Apply(3, []routing.Change{routing.PutInstance(routing.Instance{ID: odd, App: strings.Repeat("a", 64<<10), Owner: "\xff\x00", Generation: -1}), routing.PutAlias(routing.Alias{Name: ""})}),
	} {
		t.Run(name, func(t *testing.T) {
			h, got, err := snapshot.Read(bytes.NewReader(written(t, table)))
			if err != nil || h != header {
				t.Fatalf("header %+v, %v", h, err)
			}
			same(t, got, table)
		})
	}
}

func TestNoFlippedBitIsTaken(t *testing.T) {
	good := written(t, numbered(40, 7))
	for at := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[at] ^= 1 << bit
			if _, table, err := snapshot.Read(bytes.NewReader(bad)); table != nil || !errors.Is(err, snapshot.ErrCorrupt) {
				t.Fatalf("bit %d of byte %d flipped: table %v, %v", bit, at, table, err)
			}
		}
	}
}

func TestNoPartIsTaken(t *testing.T) {
	good := written(t, numbered(40, 7))
	for n := range good {
		if _, table, err := snapshot.Read(bytes.NewReader(good[:n])); table != nil || !errors.Is(err, snapshot.ErrCorrupt) {
			t.Fatalf("%d of %d bytes: table %v, %v", n, len(good), table, err)
		}
	}
	if _, table, err := snapshot.Read(bytes.NewReader(append(good, 0))); table != nil || !errors.Is(err, snapshot.ErrCorrupt) {
		t.Errorf("a byte too many: %v", err)
	}
}

func TestTheNewestWholeGenerationIsLoaded(t *testing.T) {
	older, newer := numbered(50, 1), numbered(60, 2)
	for name, c := range map[string]struct {
		spoil map[string]func([]byte) []byte
		want  *routing.Table
		fault string // part of the error
	}{
		"both whole":      {nil, newer, ""},
		"newest cut":      {map[string]func([]byte) []byte{"routes.snap": cutHalf}, older, "corrupt"},
		"newest empty":    {map[string]func([]byte) []byte{"routes.snap": empty}, older, "corrupt"},
		"newest gone":     {map[string]func([]byte) []byte{"routes.snap": nil}, older, ""},
		"older cut":       {map[string]func([]byte) []byte{"routes.snap.1": cutHalf}, newer, ""},
		"both cut":        {map[string]func([]byte) []byte{"routes.snap": cutHalf, "routes.snap.1": empty}, nil, "corrupt"},
		"neither there":   {map[string]func([]byte) []byte{"routes.snap": nil, "routes.snap.1": nil}, nil, ""},
		"one cut, no old": {map[string]func([]byte) []byte{"routes.snap": cutHalf, "routes.snap.1": nil}, nil, "corrupt"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "made", "by", "save")
			f := snapshot.NewFolder(dir)
			for _, table := range []*routing.Table{numbered(5, 0), older, newer} {
				if err := f.Save(header, table); err != nil {
					t.Fatal(err)
				}
			}
			for file, spoil := range c.spoil {
				path := filepath.Join(dir, file)
				if spoil == nil {
					os.Remove(path)
					continue
				}
				raw, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				os.WriteFile(path, spoil(raw), 0o600)
			}
			again := snapshot.NewFolder(dir)
			_, got, err := again.Load(header.Prefix)
			if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
				t.Errorf("error %v, want one with %q", err, c.fault)
			}
			if c.want == nil {
				if got != nil {
					t.Error("a table out of nothing")
				}
				return
			}
			same(t, got, c.want)
			// A newest that is broken never pushes out the one before it.
			if err := again.Save(header, numbered(70, 3)); err != nil {
				t.Fatal(err)
			}
			os.Remove(filepath.Join(dir, "routes.snap"))
			if _, got, err = again.Load(header.Prefix); err != nil {
				t.Fatal(err)
			}
			same(t, got, c.want)
		})
	}
}

func cutHalf(b []byte) []byte { return b[:len(b)/2] }
func empty([]byte) []byte     { return nil }

func TestASnapshotOfAnotherPrefixIsNotLoaded(t *testing.T) {
	f := snapshot.NewFolder(t.TempDir())
	if err := f.Save(header, numbered(5, 1)); err != nil {
		t.Fatal(err)
	}
	if _, table, err := f.Load("/elsewhere/"); table != nil || err == nil {
		t.Errorf("table %v, %v", table, err)
	}
}

func TestAFailedSaveLeavesWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	f := snapshot.NewFolder(dir)
	if err := f.Save(header, numbered(50, 1)); err != nil {
		t.Fatal(err)
	}
	// Nobody writes to a folder, not even root.
	if err := os.Mkdir(filepath.Join(dir, "routes.snap.part"), 0o700); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, "routes.snap.part", "x"), nil, 0o600)
	if err := f.Save(header, numbered(60, 2)); err == nil {
		t.Fatal("saved into a folder")
	}
	_, got, err := f.Load(header.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, numbered(50, 1))
}

func FuzzRead(f *testing.F) {
	f.Add(written(f, routing.NewTable()))
	f.Add(written(f, numbered(3, 9)))
	f.Add([]byte("SLWROUTE\x02\x00\x00\xff\xff\xff\xff\x0f\x00\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, table, err := snapshot.Read(bytes.NewReader(raw))
		if err != nil {
			if table != nil || !errors.Is(err, snapshot.ErrCorrupt) {
				t.Fatalf("table %v with %v", table, err)
			}
			return
		}
		var out bytes.Buffer
		if err := snapshot.Write(&out, h, table); err != nil {
			t.Fatal(err)
		}
		h2, again, err := snapshot.Read(&out)
		if err != nil || h2 != h {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		same(t, again, table)
	})
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		raw := written(b, numbered(n, 1))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			b.ReportMetric(float64(len(raw))/float64(n), "file-B/route")
			for b.Loop() {
				if _, _, err := snapshot.Read(bytes.NewReader(raw)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSave(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		table, f := numbered(n, 1), snapshot.NewFolder(b.TempDir())
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f.Save(header, table); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
