// Package deploy holds what installs Slipway. Its tests compare that with the
// sources.
package deploy

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/deploy/image"
)

// TestDockerfile holds the Dockerfile to go.mod, and to the image that is made
// without it.
func TestDockerfile(t *testing.T) {
	dockerfile, module := read(t, "Dockerfile"), read(t, "../go.mod")
	version := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(module)[1]
	spec, err := image.Slipway("dev", os.Args[0])
	if err != nil && !strings.Contains(err.Error(), "CGO_ENABLED") { // the test's own binary may be linked
		t.Fatal(err)
	}
	for name, line := range map[string]string{
		"the Go of go.mod":       "ARG GO_IMAGE=golang:" + version + "-",
		"the user":               "\nUSER " + spec.User + "\n",
		"the program":            "\nENTRYPOINT [\"/usr/bin/slipway\"]\n",
		"the program in pods":    "./cmd/slipway-pod ",
		"its ports":              "\nEXPOSE " + strings.Join(spec.Ports, " ") + "\n",
		"nothing linked":         "CGO_ENABLED=0",
		"no paths of a machine":  "-trimpath",
		"no version control":     "-buildvcs=false",
		"the version":            "-X main.version=${VERSION}",
		"a base without a shell": "distroless/static",
	} {
		if !strings.Contains(dockerfile, line) {
			t.Errorf("%s: the Dockerfile has no %q", name, line)
		}
	}
	for label, value := range spec.Labels {
		if value != "dev" && !strings.Contains(dockerfile, label+"=\""+value+"\"") || !strings.Contains(dockerfile, label+"=") {
			t.Errorf("the Dockerfile has no label %s=%q", label, value)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
