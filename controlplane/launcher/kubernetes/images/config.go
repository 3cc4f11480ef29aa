package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// largest bounds what is read of an answer: what registries themselves allow of
// a manifest.
const largest = 4 << 20

// The bounds of what a configuration says, all of which goes into the pod and is
// remembered: how many ports and volumes, and the bytes of a path or name. No
// program of note comes near them.
const (
	mostNamed   = 64
	longestName = 1 << 10
)

// configure notes what the image's configuration says, all or nothing of it.
func configure(found *objects.Image, img v1.Image) error {
	manifest, err := img.Manifest()
	if err != nil {
		return err
	}
	if manifest.Config.Size > largest {
		return fmt.Errorf("its configuration has %d bytes, and at most %d are read", manifest.Config.Size, largest)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return err
	}
	c := file.Config
	if err := modest(&c); err != nil {
		return err
	}
	found.Known, found.User = true, c.User
	if path.IsAbs(c.WorkingDir) {
		found.Dir = path.Clean(c.WorkingDir)
	}
	for text := range c.ExposedPorts {
		number, protocol, _ := strings.Cut(text, "/")
		port, err := strconv.Atoi(number)
		if err == nil && 0 < port && port < 1<<16 && (protocol == "" || protocol == "tcp") {
			found.Ports = append(found.Ports, port)
		}
	}
	for at := range c.Volumes {
		if path.IsAbs(at) && path.Clean(at) != "/" {
			found.Volumes = append(found.Volumes, path.Clean(at))
		}
	}
	slices.Sort(found.Ports)
	slices.Sort(found.Volumes)
	found.Ports, found.Volumes = slices.Compact(found.Ports), slices.Compact(found.Volumes)
	return nil
}

// modest refuses a configuration with more than can be of use.
func modest(c *v1.Config) error {
	if n := max(len(c.Volumes), len(c.ExposedPorts)); n > mostNamed {
		return fmt.Errorf("its configuration names %d volumes or ports, and at most %d are taken", n, mostNamed)
	}
	longest := max(len(c.User), len(c.WorkingDir))
	for at := range c.Volumes {
		longest = max(longest, len(at))
	}
	if longest > longestName {
		return fmt.Errorf("its configuration has a name of %d bytes, and at most %d are taken", longest, longestName)
	}
	return nil
}

// written is a digest as container runtimes write it. The library calls
// Docker's registry by the host that it connects to.
func written(d name.Digest) string {
	text := d.Name()
	if rest, found := strings.CutPrefix(text, name.DefaultRegistry+"/"); found {
		return "docker.io/" + rest
	}
	return text
}

// longestWhy bounds what brief says, in bytes.
const longestWhy = 200

// brief says why a registry did not tell, without the addresses that it was
// asked at. Some of it may be the registry's own words.
func brief(err error) string {
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, why(err))
	if len(text) > longestWhy {
		text = strings.ToValidUTF8(text[:longestWhy], "") + "…"
	}
	return text
}

func why(err error) string {
	if answered, ok := errors.AsType[*transport.Error](err); ok {
		switch code := answered.StatusCode; code {
		case http.StatusUnauthorized, http.StatusForbidden:
			return "it lets nobody with the pull secrets see it"
		case http.StatusNotFound:
			return "it has no such image"
		default:
			return "it answers " + strconv.Itoa(code)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "it does not answer in time"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "its name cannot be resolved"
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		return failed.Err.Error()
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err.Error()
	}
	return err.Error()
}

// bounded bounds the answers of a transport.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, largest+1), answer.Body}
	}
	return answer, err
}
