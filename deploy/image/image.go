package image

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Spec is an image to make.
type Spec struct {
	// Layers, the lowest first. What changes seldom belongs into one of its own.
	Layers [][]File
	// What runs: the words of the program, and the arguments it gets where a user
	// gives none.
	Entrypoint, Cmd []string
	// NAME=VALUE each. Without a PATH among them there is one of the usual folders.
	Env []string
	// Whom it runs as: UID, or UID:GID. Default: root. Names are no good where
	// Kubernetes is to see that it is not root.
	User string
	// Default: /.
	WorkingDir string
	Labels     map[string]string
	// As 8080/tcp. They are for people to read.
	Ports []string
	// Of Go's names. Default: this machine's.
	Architecture string
}

// defaultPath is the PATH of images that name none.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// epoch is the time of everything in an image.
var epoch = time.Unix(0, 0).UTC()

// Make makes an image. Its layers' files are read when it is written, too.
func Make(s Spec) (v1.Image, error) {
	config := &v1.ConfigFile{
		Architecture: s.Architecture, OS: "linux", Created: v1.Time{Time: epoch},
		RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{
			Entrypoint: s.Entrypoint, Cmd: s.Cmd, Env: s.Env, User: s.User, WorkingDir: s.WorkingDir, Labels: s.Labels,
		},
	}
	if config.Architecture == "" {
		config.Architecture = runtime.GOARCH
	}
	if !slices.ContainsFunc(s.Env, func(e string) bool { return strings.HasPrefix(e, "PATH=") }) {
		config.Config.Env = append([]string{defaultPath}, s.Env...)
	}
	if s.WorkingDir == "" {
		config.Config.WorkingDir = "/"
	}
	for _, port := range s.Ports {
		if config.Config.ExposedPorts == nil {
			config.Config.ExposedPorts = map[string]struct{}{}
		}
		config.Config.ExposedPorts[port] = struct{}{}
	}
	image, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), config)
	if err != nil {
		return nil, fmt.Errorf("make image: %w", err)
	}
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	for i, files := range s.Layers {
		l, err := layer(files)
		if err != nil {
			return nil, fmt.Errorf("make layer %d: %w", i+1, err)
		}
		image, err = mutate.Append(image, mutate.Addendum{Layer: l, History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "slipway image"}})
		if err != nil {
			return nil, fmt.Errorf("make layer %d: %w", i+1, err)
		}
	}
	return image, nil
}

// Save writes an image into a file as "docker save" does: docker load, podman
// load and ctr images import read it. The reference has a registry and a tag,
// as registry.example.com/slipway:1.2.3.
func Save(path, reference string, image v1.Image) error {
	tag, err := name.NewTag(reference, name.StrictValidation)
	if err != nil {
		return fmt.Errorf("save image: %w", err)
	}
	if err := tarball.WriteToFile(path, tag, image); err != nil {
		return errors.Join(fmt.Errorf("save image: %w", err), os.Remove(path))
	}
	return nil
}

// SaveLayout writes an image into a new folder as an OCI image layout, which
// skopeo, oras and crane copy to a registry.
func SaveLayout(dir, reference string, image v1.Image) error {
	if _, err := name.NewTag(reference, name.StrictValidation); err != nil {
		return fmt.Errorf("save image: %w", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // an image is for everybody
		return fmt.Errorf("save image: %w", err)
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("save image: %w", err)
	}
	err = path.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": reference}))
	if err != nil {
		return fmt.Errorf("save image: %w", err)
	}
	return nil
}
