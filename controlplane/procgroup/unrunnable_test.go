package procgroup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnrunnable(t *testing.T) {
	dynamic := "\x7fELF"
	for _, tc := range []struct{ name, content, want string }{
		{"an interpreter that is not there", "#!/no/such/program -x\n", "its first line names /no/such/program, which is not there"},
		{"an interpreter and nothing more", "#! /no/such/program", "its first line names /no/such/program, which is not there"},
		{"lines as on Windows", "#!/bin/sh\r\necho\r\n", "its lines end as on Windows (CR LF); write them with LF alone"},
		{"no program", dynamic + "\n", "exec format error"},
		{"nothing", "", "exec format error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "run")
			if err := os.WriteFile(path, []byte(tc.content), 0o700); err != nil { //nolint:gosec // it is a program
				t.Fatal(err)
			}
			err := exec.Command(path).Run()
			if err == nil {
				t.Fatal("it runs")
			}
			if got := Unrunnable(path, err); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
	gone := filepath.Join(t.TempDir(), "gone")
	if got := Unrunnable(gone, exec.Command(gone).Run()); !strings.Contains(got, "no such file") {
		t.Error(got)
	}
}
