//go:build linux

package process

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A program that is still open for writing, as it is in the children of starts
// at the same time, is started as soon as it is not.
func TestAProgramThatWasJustWrittenIsStarted(t *testing.T) {
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "app"), os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("#!/bin/sh\nexit 3\n"); err != nil {
		t.Fatal(err)
	}
	closed := time.AfterFunc(100*time.Millisecond, func() { file.Close() })
	defer closed.Stop()
	output, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	c, err := termOf(t, opened(t, tempDir(t))).spawn(command{path: file.Name(), called: "app", dir: t.TempDir()}, "test", output)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if got, err := c.wait(t.Context()); err != nil || got.status.ExitStatus() != 3 {
		t.Errorf("it ended with %+v, %v", got, err)
	}
}
