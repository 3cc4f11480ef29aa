package environ

import (
	"slices"
	"testing"
)

func TestMerge(t *testing.T) {
	got := Merge([]string{"PATH=/bin", "LANG=C"}, []string{"LANG=de", "X=1", "broken", "=y", "Z=a\x00b"}, []string{"X=2"})
	if want := []string{"PATH=/bin", "LANG=de", "X=2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestValue(t *testing.T) {
	env := []string{"A=1", "AB=2", "A=3"}
	if Value(env, "A") != "3" || Value(env, "AB") != "2" || Value(env, "B") != "" {
		t.Error("another value")
	}
}

func TestPrefer(t *testing.T) {
	env := []string{"A=1", "PATH=/bin"}
	if got := Prefer(env, "/x"); !slices.Equal(got, []string{"A=1", "PATH=/x:/bin"}) || env[1] != "PATH=/bin" {
		t.Errorf("%q of %q", got, env)
	}
}
