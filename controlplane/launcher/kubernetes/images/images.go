package images

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// Config is what asking needs. The zero value asks as nobody.
type Config struct {
	// Secrets are the .dockerconfigjson of the pull secrets as they are now; nil:
	// there are none.
	Secrets func(context.Context) ([][]byte, error)
	// Platform is the one whose configuration is read; zero is linux/amd64.
	Platform v1.Platform
	// Fresh is how long what a tag stands for is not asked again; 0 is 5 min. A
	// registry that did not say it is asked again after 30 s, or Fresh if less.
	Fresh time.Duration
	// Timeout bounds all that is asked for one start; 0 is 3 s.
	Timeout time.Duration
	// Transport is the way to registries; nil is http.DefaultTransport.
	Transport http.RoundTripper
}

const again = 30 * time.Second

// Most is how many images are remembered, each with some hundred bytes.
const Most = 4096

// Images knows images.
type Images struct {
	cfg Config

	mu   sync.Mutex
	tags map[string]*answer // by what apps call them
	know map[string]objects.Image
}

// answer is what a registry said last of a name.
type answer struct {
	asked   chan struct{} // holds a token while nobody asks
	at      time.Time
	image   objects.Image
	warning string
}

// New makes one that knows nothing yet.
func New(cfg Config) *Images {
	if cfg.Platform.OS == "" {
		cfg.Platform = v1.Platform{OS: "linux", Architecture: "amd64"}
	}
	if cfg.Fresh == 0 {
		cfg.Fresh = 5 * time.Minute
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 3 * time.Second
	}
	if cfg.Transport == nil {
		cfg.Transport = http.DefaultTransport
	}
	cfg.Transport = bounded{cfg.Transport}
	return &Images{cfg: cfg, tags: map[string]*answer{}, know: map[string]objects.Image{}}
}

// Look says what the image is. The warning is a sentence for who started the
// app, or empty. The error is ctx's, or that of a name which is none.
func (i *Images) Look(ctx context.Context, image string) (found objects.Image, warning string, err error) {
	ref, err := name.ParseReference(image)
	if err != nil {
		return found, "", fmt.Errorf("look at image: %w", err)
	}
	a := i.answer(image)
	select { // of many starts one asks
	case <-a.asked:
	case <-ctx.Done():
		return found, "", context.Cause(ctx)
	}
	defer func() { a.asked <- struct{}{} }()
	if !a.at.IsZero() && time.Since(a.at) < i.lasts(a) {
		return a.image, a.warning, nil
	}
	asking, cancel := context.WithTimeout(ctx, i.cfg.Timeout)
	defer cancel()
	found, err = i.ask(asking, ref)
	switch {
	case ctx.Err() != nil:
		return found, "", context.Cause(ctx)
	case err == nil:
		a.image, a.warning = found, ""
	case found.Reference != "":
		a.image = found
		a.warning = fmt.Sprintf("the registry does not say how %s is configured (%s)", image, brief(err))
	case a.image.Reference != "":
		a.warning = fmt.Sprintf("the registry does not say what %s is now (%s); the app runs what it was before, %s", image, brief(err), a.image.Reference)
	default:
		a.warning = fmt.Sprintf("the registry does not say what %s is (%s); the node takes what it finds by that name", image, brief(err))
	}
	a.at = time.Now()
	return a.image, a.warning, nil
}

// lasts is how long an answer holds.
func (i *Images) lasts(a *answer) time.Duration {
	if a.warning != "" {
		return min(i.cfg.Fresh, again)
	}
	return i.cfg.Fresh
}

// answer is that of a name, new where there is none. Where there are too many
// any of the others goes.
func (i *Images) answer(image string) *answer {
	i.mu.Lock()
	defer i.mu.Unlock()
	a := i.tags[image]
	if a == nil {
		a = &answer{asked: make(chan struct{}, 1)}
		a.asked <- struct{}{}
		trim(i.tags)
		i.tags[image] = a
	}
	return a
}

func trim[V any](m map[string]V) {
	for key := range m {
		if len(m) < Most {
			return
		}
		delete(m, key)
	}
}

// ask asks the registry. With an error, what it returns is as much as is known.
func (i *Images) ask(ctx context.Context, ref name.Reference) (objects.Image, error) {
	found := objects.Image{}
	keys, err := i.keys(ctx)
	if err != nil {
		return found, err
	}
	options := []remote.Option{
		remote.WithContext(ctx), remote.WithTransport(i.cfg.Transport), remote.WithAuthFromKeychain(keys),
		remote.WithPlatform(i.cfg.Platform), remote.WithUserAgent("slipway"), remote.WithRetryBackoff(once),
	}
	digest, named := ref.(name.Digest)
	if !named {
		head, err := remote.Head(ref, options...)
		if err != nil {
			return found, err
		}
		digest = ref.Context().Digest(head.Digest.String())
	}
	found.Reference = written(digest)
	i.mu.Lock()
	known, ok := i.know[found.Reference]
	i.mu.Unlock()
	if ok {
		return known, nil
	}
	img, err := remote.Image(digest, options...)
	if err != nil {
		return found, err
	}
	if err := configure(&found, img); err != nil {
		return found, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	trim(i.know)
	i.know[found.Reference] = found
	return found, nil
}

// once has nothing asked twice: a start waits.
var once = remote.Backoff{Steps: 1}
