package cli

import (
	"bytes"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
)

// fullDisk is stdout on a disk without room.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestATokenThatCannotBeShownIsNamed(t *testing.T) {
	for _, format := range []string{"", "json"} {
		s := httptest.NewServer(newFakeAPI())
		defer s.Close()
		var stderr bytes.Buffer
		env := map[string]string{"SLIPWAY_ENDPOINT": s.URL, "SLIPWAY_TOKEN": "slw_admin"}
		p := testProgram(IO{Out: fullDisk{}, Err: &stderr, Env: func(name string) string { return env[name] }, Dir: t.TempDir()})
		args := []string{"token", "create", "ci"}
		if format != "" {
			args = append(args, "-o", format)
		}
		if code := p.run(t.Context(), args, nil); code != ExitFailed {
			t.Errorf("code %d", code)
		}
		for _, want := range []string{"token tok3 was made, and could not be shown", "no space left on device", "slipway token revoke tok3 ends it"} {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("%q lacks %q", stderr.String(), want)
			}
		}
	}
}
