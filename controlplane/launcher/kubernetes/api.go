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
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	appsv1 "k8s.io/client-go/kubernetes/typed/apps/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	networkingv1 "k8s.io/client-go/kubernetes/typed/networking/v1"
	"k8s.io/client-go/rest"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// callTimeout bounds one try of one call. A call without an answer is made
// again: each of them finds out what became of the one before.
const callTimeout = 10 * time.Second

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
// pass and ctx goes on. One try takes callTimeout at most.
func insist(ctx context.Context, call func(context.Context) error) error {
	return persist(ctx, func() error {
		once, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		return call(once)
	})
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
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		code := status.Status().Code
		return code == http.StatusTooManyRequests || code >= 500 && code != http.StatusNotImplemented
	}
	for _, own := range []error{launcher.ErrFenced, launcher.ErrNotLeading, errClosed} {
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
