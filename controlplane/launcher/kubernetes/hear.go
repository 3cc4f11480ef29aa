package kubernetes

import (
	"bufio"
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/diagnose"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// What brings and installs a bundle says in its log how far it is. So who leads
// reads along, once a step has taken a moment: most wakes are over by then, and
// cost no stream.

// hearAfter is how long a step runs before its log is read.
const hearAfter = time.Second

// longestHeard bounds a line that is looked at, in bytes.
const longestHeard = 16 << 10

// mostHeard bounds what is read of a step, in bytes: packages run code that writes
// what it likes, for as long as it is given.
const mostHeard int64 = 4 << 20

// heard is what a step of a pod has said last.
type heard struct {
	pod     types.UID
	step    string // the container
	percent int
	text    string
}

// steps are the containers that say how far they are, by their stages.
var steps = map[controlplane.Stage]string{
	controlplane.StageBundle:       objects.ContainerBundle,
	controlplane.StageDependencies: objects.ContainerDependencies,
}

// hear adds to a verdict what its step has said, and begins to read its log.
func (t *term) hear(i *instance, p *corev1.Pod, v *diagnose.Verdict) {
	step := steps[v.Stage]
	if step == "" || v.Text != "" || !runsStep(p, step) {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.heard.pod == p.UID && i.heard.step == step {
		v.Percent, v.Text = i.heard.percent, i.heard.text
		return
	}
	i.heard = heard{pod: p.UID, step: step}
	t.Go(func() { t.listen(i, p, step) })
}

func runsStep(p *corev1.Pod, step string) bool {
	for _, s := range p.Status.InitContainerStatuses {
		if s.Name == step {
			return s.State.Running != nil
		}
	}
	return false
}

// listen reads the log of a step until it ends. What goes wrong costs words
// alone.
func (t *term) listen(i *instance, p *corev1.Pod, step string) {
	moment := time.NewTimer(hearAfter)
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-t.Context().Done():
		return
	}
	if now := t.view.pod(p.Namespace, p.Name); now == nil || now.UID != p.UID || !runsStep(now, step) {
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	most := mostHeard
	r, err := t.l.stream(ctx, p.Name, &corev1.PodLogOptions{Container: step, Follow: true, LimitBytes: &most})
	if err != nil {
		return
	}
	defer r.Close()
	lines := bufio.NewReaderSize(r, longestHeard)
	for {
		line, err := lines.ReadSlice('\n') // a longer one comes in parts, which are none of ours
		if percent, text, ok := inpod.ReadProgress(string(line)); ok {
			i.mu.Lock()
			if i.heard.pod == p.UID && i.heard.step == step {
				i.heard.percent, i.heard.text = percent, text
			}
			i.mu.Unlock()
			t.changed(i.id)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}
