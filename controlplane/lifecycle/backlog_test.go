package lifecycle

import (
	"slices"
	"testing"
)

func TestABacklogIsTakenTogether(t *testing.T) {
	for _, c := range []struct {
		name    string
		waiting string // a letter for each: a is alone
		want    []string
	}{
		{"nothing", "", nil},
		{"all that wait", "bbb", []string{"bbb"}},
		{"what failed takes no others with it", "bbabab", []string{"bb", "a", "b", "a", "b"}},
		{"what failed alone", "aa", []string{"a", "a"}},
		{"no more than a transaction takes", "bbbbbbbbbbbbbbbbbbbbbbbbbb", []string{"bbbbbbbbbbbbbbbbbbbbbbbb", "bb"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b backlog
			for _, kind := range c.waiting {
				b.waiting = append(b.waiting, &job{alone: kind == 'a'})
			}
			var got []string
			for jobs := b.take(); len(jobs) > 0; jobs = b.take() {
				text := ""
				for _, j := range jobs {
					text += map[bool]string{true: "a", false: "b"}[j.alone]
				}
				got = append(got, text)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("taken as %q, want %q", got, c.want)
			}
		})
	}
}
