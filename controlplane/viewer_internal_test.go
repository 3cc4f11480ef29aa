package controlplane

import (
	"context"
	"fmt"
	"slices"
	"testing"
)

// many is a list of n keys in order; every nth is seen.
func many(n int, sees func(i int) bool, reads *int) kind[int] {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%08x-0000", i*1_000)
	}
	key := func(i int) string { return keys[i] }
	return kind[int]{
		id: key,
		may: func(i int) error {
			if sees(i) {
				return nil
			}
			return Errorf(CodeNotFound, "hidden")
		},
		list: func(_ context.Context, p Page) (out List[int], err error) {
			out.Revision = 7
			from, found := slices.BinarySearch(keys, p.After)
			if found {
				from++
			}
			for i := from; i < n; i++ {
				if len(out.Items) == p.Limit {
					out.NextAfter = key(i - 1)
					break
				}
				out.Items = append(out.Items, i)
			}
			*reads += len(out.Items)
			return out, nil
		},
	}
}

func TestOnePageLooksAtSoManyRecords(t *testing.T) {
	for name, c := range map[string]struct {
		sees  func(int) bool
		calls int // until the end of 25,000
	}{
		"nothing":           {func(int) bool { return false }, 3},
		"the last":          {func(i int) bool { return i == 24_999 }, 3},
		"around the bounds": {func(i int) bool { return i%10_000 == 0 || i%10_000 == 9_999 }, 3},
		"one of 5000":       {func(i int) bool { return i%5_000 == 1 }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			var want, got []int
			for i := range 25_000 {
				if c.sees(i) {
					want = append(want, i)
				}
			}
			calls, reads := 0, 0
			of := many(25_000, c.sees, &reads)
			for p := (Page{Limit: 10}); ; {
				reads = 0
				list, err := visible(t.Context(), of, p)
				if err != nil {
					t.Fatal(err)
				}
				if calls++; reads > maxScan+1000 || calls > 10 {
					t.Fatalf("call %d reads %d records", calls, reads)
				}
				got = append(got, list.Items...)
				if list.NextAfter == "" {
					break
				}
				for i := range 25_000 {
					if list.NextAfter == of.id(i) && !c.sees(i) {
						t.Errorf("the cursor names %s, which is hidden", list.NextAfter)
					}
				}
				p.After, p.Revision = list.NextAfter, list.Revision
			}
			if !slices.Equal(got, want) || calls != c.calls {
				t.Errorf("%d calls tell %v, want %v", calls, got, want)
			}
		})
	}
}

func TestBetween(t *testing.T) {
	for _, c := range [][3]string{
		{"", "abc", "a"}, {"abc", "abd", "abd"}, {"aac", "abd", "ab"}, {"ab", "abc", "ab"}, {"a", "b0000000", "b"},
		{"0b5ab1de-3a5e", "0b5ab2de-3a5e", "0b5ab2"},
	} {
		got := between(c[0], c[1])
		want := c[2]
		if want == c[1] {
			want = c[0] // no proper part of it comes after the one before
		}
		if got != want {
			t.Errorf("between %q and %q: %q, want %q", c[0], c[1], got, want)
		}
	}
}
