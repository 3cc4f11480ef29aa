package blobs

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func there(t *testing.T, b *Folder, digest, content string) bool {
	t.Helper()
	x, err := b.Open(t.Context(), digest)
	if controlplane.CodeOf(err) == controlplane.CodeNotFound {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if data, err := io.ReadAll(io.NewSectionReader(x, 0, x.Size())); err != nil || string(data) != content {
		t.Errorf("read %q, %v", data, err)
	}
	return true
}

// Of several who import the same bytes, one that fails takes nothing from the
// others, whoever came first; who fails last takes the bytes away.
func TestABlobIsDroppedByTheLastWhoHasItInHand(t *testing.T) {
	for name, failsFirst := range map[string]int{"the first fails": 0, "the second fails": 1} {
		t.Run(name, func(t *testing.T) {
			here := newFolder(t)
			other, err := New(here.dir)
			if err != nil {
				t.Fatal(err)
			}
			both := []controlplane.PendingBlob{create(t, here, "same"), create(t, other, "same")}
			var digest string
			for _, p := range both {
				if digest, err = p.Commit(); err != nil {
					t.Fatal(err)
				}
			}
			fail := func(n int) {
				t.Helper()
				if err := errors.Join(both[n].Discard(), []*Folder{here, other}[n].Drop(t.Context(), digest, unused)); err != nil {
					t.Fatal(err)
				}
			}
			fail(failsFirst)
			if !there(t, here, digest, "same") {
				t.Fatal("who failed took away what another imports")
			}
			if buf := make([]byte, 4); true {
				if _, err := both[1-failsFirst].ReadAt(buf, 0); err != nil || string(buf) != "same" {
					t.Errorf("read %q, %v after the commit", buf, err)
				}
			}
			fail(1 - failsFirst)
			if got := files(t, here); len(got) != 0 {
				t.Errorf("left %v", got)
			}
		})
	}
}

// What is in hand when it is to be dropped is looked at again, even if it was
// kept before.
func TestWhatCouldNotBeDroppedIsUnkept(t *testing.T) {
	b := newFolder(t)
	digest := committed(t, b, "x")
	if err := b.Keep(t.Context(), digest); err != nil {
		t.Fatal(err)
	}
	again := create(t, b, "x")
	if _, err := again.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := b.Drop(t.Context(), digest, unused); err != nil {
		t.Fatal(err)
	}
	if err := again.Discard(); err != nil { // and its process dies
		t.Fatal(err)
	}
	if list, err := b.Unkept(t.Context()); err != nil || len(list) != 1 || list[0] != digest {
		t.Errorf("unkept %v, %v", list, err)
	}
}

func TestDropAsksWhetherABlobIsUsed(t *testing.T) {
	broken := errors.New("the store is away")
	for name, c := range map[string]struct {
		answers []any // of used, the last one for ever
		stays   bool
		unkept  int
	}{
		"not used":                     {[]any{false}, false, 0},
		"used":                         {[]any{true}, true, 0},
		"used, and then not any more":  {[]any{true, false}, false, 0},
		"nobody knows":                 {[]any{broken}, true, 1},
		"the second time nobody knows": {[]any{true, broken}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFolder(t)
			digest := committed(t, b, "x")
			n := 0
			err := b.Drop(t.Context(), digest, func(context.Context) (bool, error) {
				a := c.answers[min(n, len(c.answers)-1)]
				n++
				if err, ok := a.(error); ok {
					return false, err
				}
				return a.(bool), nil
			})
			if _, fails := c.answers[len(c.answers)-1].(error); fails != (err != nil) {
				t.Errorf("error %v", err)
			}
			if got := there(t, b, digest, "x"); got != c.stays {
				t.Errorf("it is there: %v", got)
			}
			if list, err := b.Unkept(t.Context()); err != nil || len(list) != c.unkept {
				t.Errorf("unkept %v, %v", list, err)
			}
		})
	}
}

// Who commits while another decides to drop the same bytes has them afterwards.
func TestACommitDuringADropHolds(t *testing.T) {
	b := newFolder(t)
	digest := committed(t, b, "x")
	late := create(t, b, "x")
	err := b.Drop(t.Context(), digest, func(context.Context) (bool, error) {
		_, err := late.Commit()
		return false, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !there(t, b, digest, "x") {
		t.Error("it was dropped under the hands of who committed it")
	}
}

// A blob that a broken disk has cut short is written anew by the next import.
func TestABlobOfAnotherSizeIsReplaced(t *testing.T) {
	b := newFolder(t)
	digest := committed(t, b, "whole")
	if err := os.Truncate(b.path(digest), 2); err != nil {
		t.Fatal(err)
	}
	if again := committed(t, b, "whole"); again != digest || !there(t, b, digest, "whole") {
		t.Error("it is broken still")
	}
}
