//go:build linux

package hand

import (
	"errors"
	"syscall"
	"testing"
)

func TestParseLeader(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       Leader
		ok         bool
	}{
		{"as it is written", Leader{7, "ABC"}.String(), Leader{7, "ABC"}, true},
		{"empty", "", Leader{}, false},
		{"no nonce", "7\n", Leader{}, false},
		{"no number", "x ABC\n", Leader{}, false},
		{"epoch 0", "0 ABC\n", Leader{}, false},
		{"a negative epoch", "-1 ABC\n", Leader{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := ParseLeader(c.text); got != c.want || (err == nil) != c.ok {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func FuzzParseLeader(f *testing.F) {
	f.Add("7 ABC\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLeader(text)
		if err != nil {
			return
		}
		if again, err := ParseLeader(l.String()); err != nil || again != l {
			t.Errorf("%q: %+v, then %+v, %v", text, l, again, err)
		}
	})
}

func TestAFaultKeepsItsErrno(t *testing.T) {
	var err error = fault(StepExecute, &syscallError{syscall.ENOEXEC})
	if !errors.Is(err, syscall.ENOEXEC) || err.Error() != "execute the program: it fails" {
		t.Errorf("%v", err)
	}
}

type syscallError struct{ syscall.Errno }

func (*syscallError) Error() string   { return "it fails" }
func (e *syscallError) Unwrap() error { return e.Errno }
