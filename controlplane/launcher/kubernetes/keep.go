package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// A pod takes its log with it. So who leads opens the log of a pod before it
// deletes it, or as soon as somebody else has, reads to its end and keeps that in
// a file: one stream for each end of a pod, and none while it runs.

// keepLimit bounds how long the log of a pod that has ended, or whose node does
// not answer, holds up its deletion.
const keepLimit = 3 * time.Second

// tailLines bounds what is read of a log that is kept.
const tailLines = 20_000

func (l *Launcher) folder(instanceID string) string {
	return filepath.Join(l.cfg.DataDir, objects.Name(instanceID))
}

func (l *Launcher) file(instanceID string, pod types.UID) string {
	return filepath.Join(l.folder(instanceID), string(pod)+whole)
}

// cutFile is where a log is kept that was not read to its end. Who leads next reads
// it again, if the pod is there still.
func (l *Launcher) cutFile(instanceID string, pod types.UID) string {
	return filepath.Join(l.folder(instanceID), string(pod)+cut)
}

// The ends of names of logs that were read to their end, and of others.
const (
	whole = ".log"
	cut   = ".cut"
	part  = ".part" // one that is being written
)

// cutMark is the last line of a log that was not read to its end.
const cutMark = "\n[the rest of this log is lost: it was not read to its end before its pod was gone]\n"

// keepLogs begins to keep the logs of pods.
func (t *term) keepLogs(i *instance, pods []*corev1.Pod) {
	var all sync.WaitGroup
	for _, p := range pods {
		all.Go(func() { t.keepLog(i, p) })
	}
	all.Wait()
}

// keepLog begins to keep the log of a pod. It returns once the log is open, or
// read if nothing of the pod runs any more.
func (t *term) keepLog(i *instance, p *corev1.Pod) {
	if gated(p) || p.Spec.NodeName == "" {
		return
	}
	begun, done := t.keeper(i, p)
	limit := time.NewTimer(keepLimit)
	defer limit.Stop()
	if !alive(p) {
		begun = done
	}
	select {
	case <-begun:
	case <-limit.C:
	case <-t.Context().Done():
	}
}

// keepRest begins to keep the log of a pod that is going, unless that was begun in
// this term, or done by who led before.
func (t *term) keepRest(i *instance, p *corev1.Pod) {
	i.mu.Lock()
	begun := i.read == p.UID
	i.mu.Unlock()
	if begun || gated(p) || p.Spec.NodeName == "" {
		return
	}
	if _, err := os.Stat(t.l.file(i.id, p.UID)); err != nil {
		t.keeper(i, p)
	}
}

// alive reports whether a container of the pod runs.
func alive(p *corev1.Pod) bool {
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Running != nil {
			return true
		}
	}
	return false
}

// keeper finds or begins the keeping of a pod's log.
func (t *term) keeper(i *instance, p *corev1.Pod) (begun, done chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.read = p.UID
	k := i.kept[p.UID]
	if k == nil {
		k = &keeping{make(chan struct{}), make(chan struct{})}
		if i.kept == nil {
			i.kept = map[types.UID]*keeping{}
		}
		i.kept[p.UID] = k
		t.Go(func() {
			defer i.pulse()
			defer func() {
				i.mu.Lock()
				defer i.mu.Unlock()
				delete(i.kept, p.UID)
			}()
			defer close(k.done)
			opened := func() { close(k.begun) }
			if err := t.l.keep(t.Context(), i.id, p, opened); err != nil && t.Context().Err() == nil {
				t.cfg.Log.Warn("the log of a pod that ends could not be kept", zap.String("instance", i.id), zap.String("pod", p.Name), zap.Error(err))
			}
			t.dropLate(i, p.UID)
		})
	}
	return k.begun, k.done
}

// dropLate drops a log that was kept when its instance had been removed already,
// and its folder with it.
func (t *term) dropLate(i *instance, pod types.UID) {
	t.mu.Lock()
	there := t.instances[i.id] == i
	t.mu.Unlock()
	if !there {
		_ = os.Remove(t.l.file(i.id, pod)) // none was kept, perhaps
		_ = os.Remove(t.l.cutFile(i.id, pod))
		_ = os.Remove(t.l.folder(i.id)) // unless the next one of that ID has logs
	}
}

// keeping is a log that is being kept.
type keeping struct{ begun, done chan struct{} }

// isKeeping reports whether a log is being kept.
func (i *instance) isKeeping() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.kept) > 0
}

// keep reads the log of a pod to its end and puts the last of it into a file.
func (l *Launcher) keep(ctx context.Context, id string, p *corev1.Pod, opened func()) error {
	lines := int64(tailLines)
	r, err := l.stream(ctx, p.Name, &corev1.PodLogOptions{Container: objects.ContainerApp, Follow: true, TailLines: &lines})
	opened()
	if err != nil {
		return err
	}
	defer r.Close()
	last, err := l.readTail(r)
	if last == nil {
		return err
	}
	defer last.Close()
	if err != nil && last.written == 0 {
		return err
	}
	if err == nil {
		return l.write(id, l.file(id, p.UID), last.reader())
	}
	if _, known := os.Stat(l.file(id, p.UID)); known == nil {
		return err
	}
	return errors.Join(err, l.write(id, l.cutFile(id, p.UID), io.MultiReader(last.reader(), strings.NewReader(cutMark))))
}

// write keeps a log of an instance at path.
func (l *Launcher) write(id, path string, log io.Reader) error {
	if err := os.MkdirAll(l.folder(id), 0o700); err != nil {
		return fmt.Errorf("keep log: %w", err)
	}
	f, err := os.OpenFile(path+part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("keep log: %w", err)
	}
	_, err = io.Copy(f, log)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keep log: %w", err)
	}
	if err := os.Rename(path+part, path); err != nil {
		return fmt.Errorf("keep log: %w", err)
	}
	if short, is := strings.CutSuffix(path, whole); is {
		_ = os.Remove(short + cut) // none, mostly
	}
	return l.dropOld(id)
}

// dropOld leaves the logs of two runs.
func (l *Launcher) dropOld(id string) error {
	entries, err := os.ReadDir(l.folder(id))
	if err != nil {
		return fmt.Errorf("drop old logs: %w", err)
	}
	var newest [2]fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if end := filepath.Ext(e.Name()); err != nil || end != whole && end != cut {
			continue
		}
		switch {
		case newest[0] == nil || info.ModTime().After(newest[0].ModTime()):
			newest[0], newest[1], info = info, newest[0], newest[1]
		case newest[1] == nil || info.ModTime().After(newest[1].ModTime()):
			newest[1], info = info, newest[1]
		}
		if info == nil {
			continue
		}
		if err := os.Remove(filepath.Join(l.folder(id), info.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("drop old logs: %w", err)
		}
	}
	return nil
}

// stream opens the log of a pod at its node.
func (l *Launcher) stream(ctx context.Context, pod string, o *corev1.PodLogOptions) (io.ReadCloser, error) {
	r, err := l.api.pods().GetLogs(pod, o).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the log of pod %s: %w", pod, err)
	}
	return r, nil
}

// noLog reports whether there is none, rather than none that can be had now.
func noLog(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsBadRequest(err) }
