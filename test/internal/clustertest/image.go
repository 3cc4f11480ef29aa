package clustertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/seed-dbc68772/slipway/deploy/image"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// Load makes an image and puts it into the node, for a test whose folder is one
// of test/cluster. The reference has a tag that no other contents have.
func Load(name string, s image.Spec) (reference string, err error) {
	made, err := image.Make(s)
	if err != nil {
		return "", err
	}
	digest, err := made.Digest()
	if err != nil {
		return "", fmt.Errorf("make image: %w", err)
	}
	dir, err := os.MkdirTemp("", "slipway-image-")
	if err != nil {
		return "", fmt.Errorf("load image: %w", err)
	}
	defer os.RemoveAll(dir)
	reference = "slipway.test/" + name + ":" + digest.Hex[:16]
	archive := filepath.Join(dir, "image.tar")
	if err := image.Save(archive, reference, made); err != nil {
		return "", err
	}
	if out, err := exec.Command("../load", archive).CombinedOutput(); err != nil {
		return "", fmt.Errorf("load image: %w: %s", err, out)
	}
	return reference, nil
}

// Self is the test's own program, for an image that has nothing else.
func Self() (file string, err error) {
	if file, err = os.Executable(); err != nil {
		return "", err
	}
	if _, err := image.Static(file); err != nil {
		return "", fmt.Errorf("put the test into an image: %w", err)
	}
	return file, nil
}

// Testapp is the reference of an image of slipwaytest.Testapp, which the node has.
var Testapp = sync.OnceValues(func() (reference string, err error) {
	return Load("testapp", image.Spec{
		Layers:     [][]image.File{{{Path: "/testapp", Source: slipwaytest.Testapp, Mode: 0o755}}},
		Entrypoint: []string{"/testapp"}, User: "65532",
	})
})

// Image is one of the references of this package, for a test that needs it.
func Image(t testing.TB, of func() (reference string, err error)) (reference string) {
	t.Helper()
	reference, err := of()
	if err != nil {
		t.Fatal(err)
	}
	return reference
}
