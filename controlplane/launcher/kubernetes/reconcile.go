package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/diagnose"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// reconcile looks at an instance and does what is to be done: it takes it over
// from an earlier leader, lets its pod run, tells how far that is, and ends what
// is not to run.
func (t *term) reconcile(ctx context.Context, id string) error {
	i, err := t.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer i.pulse()
	defer i.unlock()
	if seen := t.view.owner(id); i.owner == nil && seen == nil || i.owner != nil && i.isGone(i.owner.UID) || seen != nil && seen.DeletionTimestamp != nil {
		t.unprobe(i)
		t.lose(i)
		return nil
	}
	if err := t.takeOver(ctx, i); err != nil {
		return err
	}
	if !i.rec.Start.runs() {
		return t.windUp(ctx, i)
	}
	pods := t.view.podsOf(id)
	if i.rec.Start.Pod == "" || i.rec.Start.Pod == i.unborn {
		return t.let(ctx, i, pods)
	}
	for _, p := range pods {
		if p.UID != i.rec.Start.Pod {
			continue
		}
		i.last = p
		if gated(p) && p.DeletionTimestamp == nil {
			return t.ungate(ctx, i, p)
		}
		return t.follow(ctx, i, p)
	}
	if there, err := t.podIsThere(ctx, i); there || err != nil {
		return err
	}
	return t.finish(ctx, i, t.vanished(i))
}

// podIsThere asks for the start's pod, which informers do not have: it may be one
// that an earlier leader let run while this one began.
func (t *term) podIsThere(ctx context.Context, i *instance) (bool, error) {
	var p *corev1.Pod
	err := insist(ctx, func(ctx context.Context) (err error) {
		p, err = t.api.pods().Get(ctx, i.rec.Runs[0].Name, metav1.GetOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask for pod: %w", err)
	}
	return p.UID == i.rec.Start.Pod, nil // the watch brings it
}

// lose is for an instance whose owner goes or is gone, by Remove or by hand.
func (t *term) lose(i *instance) {
	if i.owner != nil && !i.isGone(i.owner.UID) {
		return
	}
	i.mu.Lock()
	told := i.fact
	i.mu.Unlock()
	if i.owner != nil && (told.State == launcher.Ready || told.State == launcher.Starting) {
		t.tell(i, nil, launcher.Fact{
			State: launcher.Ended, WasReady: told.State == launcher.Ready,
			Reason: reason(controlplane.Crashed, "somebody deleted the app's objects from the cluster"),
		})
	}
	if len(t.view.podsOf(i.id)) > 0 {
		return
	}
	i.owner, i.rec, i.last = nil, record{}, nil
	t.drop(i)
}

// takeOver makes the record this leader's. A start that was not made whole is
// called off, and begun again by who asks for it.
func (t *term) takeOver(ctx context.Context, i *instance) error {
	if i.owner == nil {
		if err := t.present(ctx, i); err != nil {
			return err
		}
	}
	if i.rec.Epoch == t.epoch {
		return nil
	}
	return t.save(ctx, i, func(rec *record) error {
		if rec.Epoch == t.epoch {
			return errSame
		}
		if s := rec.Start; s.runs() && s.Pod == "" && !t.isWhole(ctx, i, s) {
			rec.Start = nil
		}
		return nil
	})
}

// isWhole reports whether all that a start needs is known to be made: its Deployment
// tells of it, and its Secret, which may come after the Deployment, is there.
func (t *term) isWhole(ctx context.Context, i *instance, s *start) bool {
	d := t.view.deployment(i.id)
	if d == nil || !s.made(d.Labels) || d.Spec.Replicas == nil || *d.Spec.Replicas == 0 {
		return false
	}
	secret, err := t.secretUID(ctx, objects.SecretName(i.id, s.Generation))
	return err == nil && secret != ""
}

// windUp has nothing run of an instance that is not to, and tells of its end.
func (t *term) windUp(ctx context.Context, i *instance) error {
	t.unprobe(i)
	settled, undone := t.scaleDown(ctx, i)
	runs := i.mayLinger()
	var left []*corev1.Pod
	pods := t.view.podsOf(i.id)
	i.forgetEnded(pods)
	for _, p := range pods {
		switch {
		case i.isEnding(p):
			t.keepRest(i, p)
		case gated(p) && (settled > 0 || undone != nil):
			// It was never let run, and its ReplicaSet takes it away. It may have come in
			// place of a pod that was deleted, and so would another in its place: without
			// an end where the Deployment cannot be scaled.
		default:
			left = append(left, p)
		}
		runs = runs || !dead(p) && !gated(p)
	}
	t.keepLogs(i, left)
	undone = errors.Join(undone, t.deletePods(ctx, i, left, ownGrace))
	if s := i.rec.Start; s != nil && (!runs || s.End.Reason != nil) {
		t.tell(i, nil, launcher.Fact{State: launcher.Ended, WasReady: s.Ready, Reason: s.End.Reason, At: s.End.At})
	}
	return undone
}

// let lets the start's pod run, once no other one can any more: the record names
// the pod that was let run last, and has it before the pod's gate is taken off.
// So there is at most one, whoever leads, and however late a call comes to be.
func (t *term) let(ctx context.Context, i *instance, pods []*corev1.Pod) error {
	s := i.rec.Start
	var next *corev1.Pod
	waits := false
	for _, p := range pods {
		switch {
		case dead(p):
		case p.UID == i.rec.last() || !gated(p):
			waits = true
		case s.made(p.Labels) && !i.isEnding(p) && (next == nil || next.CreationTimestamp.Before(&p.CreationTimestamp)):
			next = p
		}
	}
	v := diagnose.Start(diagnose.Objects{Deployment: t.view.deployment(i.id)})
	switch {
	case waits:
		v = diagnose.Verdict{
			Stage: controlplane.StageQueued, Text: "it waits for the end of what ran before",
			Reason: reason(controlplane.NoCapacity, "what ran before is on a node that does not answer; it can be started once the cluster has given that node up, or the pod is deleted by force"),
		}
	case i.mayLinger():
		waits = true
		v = diagnose.Verdict{
			Stage: controlplane.StageQueued, Text: "it waits until what ran before has ended for sure: nobody saw its pod end, as when one is deleted by force",
			Reason: reason(controlplane.NoCapacity, "nobody saw the pod end that ran before, as when one is deleted by force, so that it may run on for stop_grace; the app can be started once that is over"),
		}
	}
	if next == nil || waits {
		return t.progress(ctx, i, v, s.At.Add(t.cfg.ScheduleTimeout))
	}
	err := t.save(ctx, i, func(rec *record) error {
		if !rec.Start.runs() || rec.Start.ID != s.ID {
			return errSame
		}
		if rec.last() != next.UID {
			rec.let(next)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if i.rec.Start.Pod != next.UID {
		return nil // it was changed meanwhile, and is looked at again
	}
	i.last, i.unborn = next, ""
	return t.ungate(ctx, i, next)
}

// ungate takes the gate off a pod, once: it does not come back, but is seen for
// as long as the watch has not told of it.
func (t *term) ungate(ctx context.Context, i *instance, p *corev1.Pod) error {
	if i.ungated == p.UID {
		return nil
	}
	patch := fmt.Appendf(nil, `{"metadata":{"uid":%q},"spec":{"schedulingGates":[{"name":%q,"$patch":"delete"}]}}`, p.UID, objects.Gate)
	err := insist(ctx, func(ctx context.Context) error {
		_, err := t.api.pods().Patch(ctx, p.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: objects.Manager})
		return err
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		i.unborn = p.UID // somebody has deleted it, and another one comes
		t.changed(i.id)
		return nil
	}
	if err != nil {
		return fmt.Errorf("let pod run: %w", err)
	}
	i.ungated = p.UID
	return nil
}

// follow tells how far the start's pod is.
func (t *term) follow(ctx context.Context, i *instance, p *corev1.Pod) error {
	s := i.rec.Start
	uids := []types.UID{p.UID}
	claims := t.view.claimsOf(i.id)
	for _, c := range claims {
		uids = append(uids, c.UID)
	}
	v := diagnose.Start(diagnose.Objects{Deployment: t.view.deployment(i.id), Pod: p, Claims: claims, Events: t.view.eventsOf(uids...)})
	if v.Ended {
		if v.Reason == nil {
			v.Reason = t.vanished(i)
		}
		return t.finish(ctx, i, v.Reason)
	}
	if v.Running {
		if ip, err := netip.ParseAddr(p.Status.PodIP); err == nil {
			t.probePod(ctx, i, p, netip.AddrPortFrom(ip, uint16(s.Port)))
			return nil
		}
	}
	t.hear(i, p, &v)
	limit := s.At.Add(t.cfg.ScheduleTimeout)
	if v.Scaling {
		limit = s.At.Add(t.cfg.StartTimeout)
	}
	if p.Spec.NodeName != "" {
		since := s.At
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.LastTransitionTime.After(since) {
				since = c.LastTransitionTime.Time
			}
		}
		limit = since.Add(t.cfg.StartTimeout)
	}
	return t.progress(ctx, i, v, limit)
}

// progress tells of a start that goes on, unless its time is over.
func (t *term) progress(ctx context.Context, i *instance, v diagnose.Verdict, limit time.Time) error {
	if v.Ended || !time.Now().Before(limit) {
		why := v.Reason
		if why == nil {
			why = reason(controlplane.NoCapacity, "the cluster did not start the app's container in time; its operators find why in the events of the pod")
		}
		return t.finish(ctx, i, why)
	}
	t.tell(i, nil, launcher.Fact{State: launcher.Starting, Stage: v.Stage, Text: v.Text, Percent: v.Percent})
	t.wakeAt(i, limit)
	return nil
}

// vanished is why a pod is no more that nobody here has deleted.
func (t *term) vanished(i *instance) *controlplane.Reason {
	if i.last != nil {
		events := t.view.eventsOf(i.last.UID)
		if v := diagnose.Pod(i.last, events); v.Ended && v.Reason != nil {
			return v.Reason
		}
		gone := i.last.DeepCopy()
		now := metav1.Now()
		gone.DeletionTimestamp = &now
		if v := diagnose.Pod(gone, events); v.Reason != nil {
			return v.Reason
		}
	}
	return reason(controlplane.Crashed, "the app's pod is no more in the cluster, and nobody saw why")
}

// tell tells of the instance's start, if that is news. A watch may tell only
// while it is the instance's own.
func (t *term) tell(i *instance, by *prober, f launcher.Fact) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if by != i.prober {
		return
	}
	f.InstanceID = i.id
	if by != nil {
		f.Generation, f.Warnings = by.start.Generation, by.start.Warnings
	} else if i.rec.Start != nil {
		f.Generation, f.Warnings = i.rec.Start.Generation, i.rec.Start.Warnings
	}
	old := i.fact
	same := old.Generation == f.Generation && old.State == f.State && old.Stage == f.Stage
	if same && (f.State == launcher.Ended || old.Text == f.Text && old.Percent == f.Percent && old.Endpoint == f.Endpoint) {
		return
	}
	if same && f.At.IsZero() {
		f.At = old.At
	}
	if f.At.IsZero() {
		f.At = time.Now()
	}
	i.fact = f
	t.Facts.Publish(f)
}

// wasReady reports whether that generation has been told of as ready.
func (i *instance) wasReady(generation int64) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fact.Generation == generation && (i.fact.State == launcher.Ready || i.fact.State == launcher.Ended && i.fact.WasReady)
}

// toldEnd reports whether the end of a start was told, or something newer, or that
// of an instance which was removed meanwhile.
func (i *instance) toldEnd(s *start) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return s == nil || i.over || i.fact.Generation > s.Generation || i.fact.Generation == s.Generation && i.fact.State == launcher.Ended
}

func reason(code controlplane.ReasonCode, format string, args ...any) *controlplane.Reason {
	return &controlplane.Reason{Code: code, Text: fmt.Sprintf(format, args...)}
}
