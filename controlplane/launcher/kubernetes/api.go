package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	appsv1 "k8s.io/client-go/kubernetes/typed/apps/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	networkingv1 "k8s.io/client-go/kubernetes/typed/networking/v1"
	"k8s.io/client-go/rest"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/lead"
)

// callTimeout bounds one try of one call. A call without an answer is made
// again: each of them finds out what became of the one before. An admission
// webhook that hangs has 10 s unless it says otherwise: what the API server says
// of it is to be heard.
const callTimeout = 12 * time.Second

// faultTimeout is how long a call is made again that the API server answers with
// a fault of its own, or does not answer, though it is there. It may be coming up;
// or the fault stays, as with an admission webhook that fails. Whoever makes the
// call has the turn of an instance, which others wait for.
const faultTimeout = 20 * time.Second

// rightsTimeout is how long calls that the account has no right to are made
// again. An API server that has just begun knows nobody's rights until it has
// read its roles, which takes it less than a second, and refuses until then.
const rightsTimeout = 10 * time.Second

// api is the API server, and the one namespace of it.
type api struct {
	http      *http.Client
	core      *corev1.CoreV1Client
	apps      *appsv1.AppsV1Client
	net       *networkingv1.NetworkingV1Client
	namespace string
}

func newAPI(config *rest.Config, namespace string) (*api, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.UserAgent = "slipway"
	// The API server encodes what it tells watchers once for all that read this.
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	core, err := corev1.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	apps, err := appsv1.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	network, err := networkingv1.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	return &api{http: client, core: core, apps: apps, net: network, namespace: namespace}, nil
}

func (a *api) pods() corev1.PodInterface         { return a.core.Pods(a.namespace) }
func (a *api) owners() corev1.ConfigMapInterface { return a.core.ConfigMaps(a.namespace) }
func (a *api) deployments() appsv1.DeploymentInterface {
	return a.apps.Deployments(a.namespace)
}

// close ends connections that nobody uses any more.
func (a *api) close() { utilnet.CloseIdleConnectionsFor(a.http.Transport) }

// insist makes a call again, with a growing pause, for as long as its error may
// pass and ctx goes on. One try takes callTimeout at most. An API server that is
// away is waited for; one that fails for faultTimeout ends it with a *faultError.
func insist(ctx context.Context, call func(context.Context) error) error {
	var since time.Time // of the faults
	return persist(ctx, func() error {
		once, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		began := time.Now()
		err := call(once)
		if !isFault(err) {
			since = time.Time{}
			return err
		}
		if since.IsZero() {
			since = began
		}
		if time.Since(since) >= faultTimeout {
			return &faultError{err}
		}
		return err
	})
}

// patcher is a client of one kind of objects.
type patcher[T any] interface {
	Patch(ctx context.Context, name string, kind types.PatchType, body []byte, o metav1.PatchOptions, sub ...string) (T, error)
}

// apply applies an object by Slipway's own field manager, which takes over what
// others have written.
func apply[T any](ctx context.Context, to patcher[T], name string, body []byte) (T, error) {
	force := true
	return to.Patch(ctx, name, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: objects.Manager, Force: &force})
}

// faultError is a fault of the API server that did not pass.
type faultError struct{ err error }

func (e *faultError) Error() string {
	return fmt.Sprintf("the API server did not do it within %s, see to it and to the cluster's admission webhooks: %v", faultTimeout, e.err)
}

func (e *faultError) Unwrap() error { return e.err }

// isFault reports whether the API server has answered with a fault of its own, or
// not at all within a try: it may be hung up in a webhook.
func isFault(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return passes(err) && status.Status().Code != http.StatusTooManyRequests
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// persist is insist for what may take as long as ctx goes on, such as a watch.
// Informers left to themselves pause up to a minute between tries: an API server
// that is back after two minutes would not be heard for another one.
func persist(ctx context.Context, call func() error) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 50*time.Millisecond, 2*time.Second
	var unknown time.Time // since when the account has no right
	for {
		err := call()
		again := passes(err)
		if mayNot(err) {
			if unknown.IsZero() {
				unknown = time.Now()
			}
			again = time.Since(unknown) < rightsTimeout
		}
		if err == nil || !again {
			return err
		}
		timer := time.NewTimer(max(wait.NextBackOff(), asked(err)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// passes reports whether the same call may succeed later.
func passes(err error) bool {
	if _, stays := errors.AsType[*faultError](err); stays {
		return false
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		code := status.Status().Code
		return code == http.StatusTooManyRequests || code >= 500 && code != http.StatusNotImplemented
	}
	for _, own := range []error{launcher.ErrFenced, launcher.ErrNotLeading, lead.ErrClosed} {
		if errors.Is(err, own) {
			return false
		}
	}
	return true // it has not been answered
}

// mayNot reports whether the account has no right to the call, and so whether the
// call got no further. What the cluster refuses for what is in it, such as a pod
// above the quota, is forbidden in other words.
func mayNot(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), `is forbidden: User "`)
}

// asked is the pause that the API server asks for.
func asked(err error) time.Duration {
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
		return time.Duration(seconds) * time.Second
	}
	return 0
}
