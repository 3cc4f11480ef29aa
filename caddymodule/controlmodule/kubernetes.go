package controlmodule

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes"
)

func init() {
	caddy.RegisterModule(Kubernetes{})
}

// Kubernetes is the guest module slipway.launchers.kubernetes: a pod per
// instance, in one namespace of a cluster.
type Kubernetes struct {
	KubernetesPods
	KubernetesBundles

	// Namespace that instances are in; nothing else should be. Default: the one
	// that this process is in itself, or that of the kubeconfig's context. A change
	// needs a restart.
	Namespace string `json:"namespace,omitempty"`
	// File that says how the cluster is reached. Default: as pods of the cluster
	// reach it. A change needs a restart.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	// Folder of the logs of pods that are no more; control planes that share it all
	// have them. Default: kubernetes in Caddy's data folder. A change needs a
	// restart.
	Data string `json:"data,omitempty"`
	// How long an instance waits for a node. Default: 2 minutes. A change needs a
	// restart.
	ScheduleTimeout caddy.Duration `json:"schedule_timeout,omitempty"`
	// How long a pod that has a node may take until its container runs, image and
	// volumes included. Default: 15 minutes. A change needs a restart.
	StartTimeout caddy.Duration `json:"start_timeout,omitempty"`
	// Whether the instances end with the control plane, if it leads. Default: they
	// go on, and the next leader adopts them. A change needs a restart.
	StopAll bool `json:"stop_on_exit,omitempty"`
}

// CaddyModule implements caddy.Module.
func (Kubernetes) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "slipway.launchers.kubernetes", New: func() caddy.Module { return new(Kubernetes) }}
}

// UnmarshalCaddyfile reads, beside what KubernetesPods and KubernetesBundles have:
//
//	launcher kubernetes {
//		namespace NAME
//		kubeconfig PATH
//		data DIR
//		schedule_timeout DURATION
//		start_timeout DURATION
//		stop_on_exit
//	}
func (k *Kubernetes) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the launcher's name
	if d.NextArg() {
		return d.ArgErr()
	}
	given := caddymodule.Given{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		err := given.Once(d, d.Val(), "pull_secret", "gpu", "runtime", "profile")
		if err != nil {
			return err
		}
		switch name := d.Val(); name {
		case "namespace":
			err = word(d, &k.Namespace)
		case "kubeconfig":
			err = word(d, &k.Kubeconfig)
		case "data":
			err = word(d, &k.Data)
		case "schedule_timeout":
			err = duration(d, &k.ScheduleTimeout)
		case "start_timeout":
			err = duration(d, &k.StartTimeout)
		case "stop_on_exit":
			if d.NextArg() {
				return d.ArgErr()
			}
			k.StopAll = true
		default:
			var known bool
			if known, err = k.setting(d); !known {
				known, err = k.bundleSetting(d)
			}
			if !known {
				return d.Errf("launcher kubernetes has no setting %q; there are namespace, kubeconfig, data, schedule_timeout, start_timeout, stop_on_exit, %s, %s",
					name, kubernetesBundlesSettings, kubernetesPodsSettings)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func duration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	var text string
	if err := word(d, &text); err != nil {
		return err
	}
	value, err := caddy.ParseDuration(text)
	if err != nil || value <= 0 {
		return d.Errf("%q is not a duration above 0, such as 90s or 5m", text)
	}
	*into = caddy.Duration(value)
	return nil
}

// Validate implements caddy.Validator.
func (k *Kubernetes) Validate() error {
	var errs []error
	if k.Namespace != "" && len(validation.IsDNS1123Label(k.Namespace)) > 0 {
		errs = append(errs, fmt.Errorf("launcher kubernetes: namespace %q is not the name of one", k.Namespace))
	}
	for name, d := range map[string]caddy.Duration{"schedule_timeout": k.ScheduleTimeout, "start_timeout": k.StartTimeout} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("launcher kubernetes: %s %s is not above 0", name, time.Duration(d)))
		}
	}
	errs = append(errs, k.validate(k.Namespace), k.validateBundles())
	return errors.Join(errs...)
}

// ownNamespace is where a pod finds the namespace that it is in.
const ownNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// reach says how the cluster is reached, and in which namespace.
func (k *Kubernetes) reach() (config *rest.Config, namespace string, err error) {
	if k.Kubeconfig == "" {
		config, err = rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, "", errors.New("this process is in no pod of a cluster: name a kubeconfig (launcher kubernetes { kubeconfig PATH })")
		}
		if err == nil && k.Namespace == "" {
			var own []byte
			own, err = os.ReadFile(ownNamespace)
			namespace = strings.TrimSpace(string(own))
		}
	} else {
		file := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&clientcmd.ClientConfigLoadingRules{ExplicitPath: k.Kubeconfig}, nil)
		config, err = file.ClientConfig()
		if err == nil {
			namespace, _, err = file.Namespace()
		}
	}
	if k.Namespace != "" {
		namespace = k.Namespace
	}
	if err != nil {
		return nil, "", fmt.Errorf("find the cluster: %w", err)
	}
	return config, namespace, nil
}

// Open implements LauncherModule.
func (k *Kubernetes) Open(log *zap.Logger) (launcher.Launcher, error) {
	config, namespace, err := k.reach()
	if err != nil {
		return nil, err
	}
	dir := k.Data
	if dir == "" {
		dir = filepath.Join(caddy.AppDataDir(), "slipway", "kubernetes")
	}
	c := kubernetes.Config{
		REST: config, Objects: k.objects(namespace), DataDir: dir,
		ScheduleTimeout: cmp.Or(time.Duration(k.ScheduleTimeout), kubernetes.DefaultScheduleTimeout),
		StartTimeout:    cmp.Or(time.Duration(k.StartTimeout), kubernetes.DefaultStartTimeout), Log: log.Named("kubernetes"),
	}
	if err := k.run(&c); err != nil {
		return nil, err
	}
	return kubernetes.New(c)
}

// Modes implements LauncherModule.
func (k *Kubernetes) Modes() []controlplane.AppMode {
	return append([]controlplane.AppMode{controlplane.Container}, k.bundleModes()...)
}

// StopOnExit implements LauncherModule.
func (k *Kubernetes) StopOnExit() bool { return k.StopAll }

var (
	_ LauncherModule        = (*Kubernetes)(nil)
	_ caddyfile.Unmarshaler = (*Kubernetes)(nil)
	_ caddy.Validator       = (*Kubernetes)(nil)
)
