package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/images"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/lead"
)

// Launcher runs each instance as a pod.
type Launcher struct {
	cfg  Config
	api  *api
	lead lead.Holder[*term]

	images     *images.Images
	registries *http.Transport

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	readers sync.WaitGroup // of logs

	mu    sync.Mutex
	place string

	followers map[string]int // of the logs of instances
}

var (
	_ launcher.Launcher = (*Launcher)(nil)
	_ launcher.Placed   = (*Launcher)(nil)
)

// New returns a launcher. It calls nobody: the API server may be away.
func New(cfg Config) (*Launcher, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("open the kubernetes launcher: %w", err)
	}
	a, err := newAPI(cfg.REST, cfg.Objects.Namespace)
	if err != nil {
		return nil, fmt.Errorf("open the kubernetes launcher: %w", err)
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("open the kubernetes launcher: %w", err)
	}
	l := &Launcher{cfg: cfg, api: a, lead: lead.Holder[*term]{Name: "kubernetes"}, followers: map[string]int{}, registries: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: callTimeout, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
	}}
	l.images = images.New(images.Config{Secrets: l.pullSecrets, Transport: l.registries})
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

// Place implements launcher.Placed: the UID of the namespace, which no other of
// any cluster has, and which ends with all that ran there.
func (l *Launcher) Place(ctx context.Context) (string, error) {
	l.mu.Lock()
	place := l.place
	l.mu.Unlock()
	if place != "" {
		return place, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ns, err := l.api.core.Namespaces().Get(ctx, l.api.namespace, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("ask for the namespace of instances: %w", err)
	}
	place = "kubernetes/" + string(ns.UID)
	l.mu.Lock()
	l.place = place
	l.mu.Unlock()
	return place, nil
}

// Lead implements launcher.Launcher.
func (l *Launcher) Lead(ctx context.Context, epoch int64) error {
	return l.lead.Lead(epoch, func() (*term, error) {
		t, err := newTerm(l, epoch)
		if err == nil {
			err = t.begin(ctx)
		}
		return t, err
	})
}

// Resign implements launcher.Launcher.
func (l *Launcher) Resign() { l.lead.Resign() }

// Check implements launcher.Launcher.
func (l *Launcher) Check(app *controlplane.App) []controlplane.Reason {
	if comesAsBundle(app) {
		return l.checkBundle(app)
	}
	if app.AppMode != controlplane.Container {
		return []controlplane.Reason{{
			Code: controlplane.LauncherDown,
			Text: fmt.Sprintf("apps of mode %s cannot be run by the launcher kubernetes", app.AppMode),
		}}
	}
	w := launcher.Workload{InstanceID: "check", Generation: 1, App: app}
	_, err := objects.Make(objects.Start{Workload: w, Epoch: 1, Image: &objects.Image{Known: true}}, l.cfg.Objects)
	if typed, ok := errors.AsType[*launcher.StartError](err); ok {
		return []controlplane.Reason{typed.Reason}
	}
	return nil
}

// make makes the objects of a start.
func (l *Launcher) make(ctx context.Context, w launcher.Workload, epoch int64) (*objects.Set, error) {
	if comesAsBundle(w.App) {
		return l.makeBundle(w, epoch)
	}
	named := w.App.Manifest.Runtime.CustomImage
	found, warning, err := l.images.Look(ctx, named)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, &launcher.StartError{
			Reason: controlplane.Reason{Code: controlplane.ImageInvalid, Text: fmt.Sprintf("%q is not the name of an image", named)}, Err: err,
		}
	}
	if warning != "" {
		w.Warnings = append(slices.Clone(w.Warnings), warning)
	}
	return objects.Make(objects.Start{Workload: w, Epoch: epoch, Image: &found}, l.cfg.Objects)
}

// pullSecrets reads what registries are asked with.
func (l *Launcher) pullSecrets(ctx context.Context) ([][]byte, error) {
	var all [][]byte
	for _, name := range l.cfg.Objects.PullSecrets {
		secret, err := l.api.core.Secrets(l.api.namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue // nodes do without it, too
		}
		if err != nil {
			return nil, fmt.Errorf("read pull secret %s: %w", name, err)
		}
		all = append(all, secret.Data[corev1.DockerConfigJsonKey])
	}
	return all, nil
}

// Start implements launcher.Launcher.
func (l *Launcher) Start(ctx context.Context, w launcher.Workload) error {
	err := w.Complete()
	if err == nil {
		err = l.act(ctx, func(ctx context.Context, t *term) error { return faulty(t.start(ctx, w)) })
	}
	if err != nil {
		return fmt.Errorf("start instance %s: %w", w.InstanceID, err)
	}
	return nil
}

// Stop implements launcher.Launcher.
func (l *Launcher) Stop(ctx context.Context, instanceID string, generation int64, grace time.Duration) error {
	err := l.act(ctx, func(ctx context.Context, t *term) error { return t.stop(ctx, instanceID, generation, grace) })
	if err != nil {
		return fmt.Errorf("stop instance %s: %w", instanceID, err)
	}
	return nil
}

// Remove implements launcher.Launcher.
func (l *Launcher) Remove(ctx context.Context, instanceID string) error {
	err := l.act(ctx, func(ctx context.Context, t *term) error { return t.remove(ctx, instanceID) })
	if err != nil {
		return fmt.Errorf("remove instance %s: %w", instanceID, err)
	}
	return nil
}

// act makes a call of one who leads.
func (l *Launcher) act(ctx context.Context, call func(context.Context, *term) error) error {
	t, err := l.lead.Term()
	if err != nil {
		return err
	}
	return t.act(ctx, func(ctx context.Context) error { return call(ctx, t) })
}

// Observe implements launcher.Launcher.
func (l *Launcher) Observe(ctx context.Context) <-chan launcher.Fact { return l.lead.Observe(ctx) }

// Close implements launcher.Launcher.
func (l *Launcher) Close(ctx context.Context, stopWorkloads bool, grace time.Duration) error {
	err := l.lead.Close(func(t *term) error {
		if !stopWorkloads {
			return nil
		}
		return t.stopAll(ctx, grace)
	})
	l.cancel()
	l.readers.Wait()
	l.api.close()
	l.registries.CloseIdleConnections()
	return err
}
