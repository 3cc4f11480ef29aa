package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/lead"
)

// Logs implements launcher.Launcher. The log of a pod that is there comes from
// its node, that of another one from the file that was kept.
func (l *Launcher) Logs(ctx context.Context, instanceID string, o launcher.LogOptions) (io.ReadCloser, error) {
	if l.ctx.Err() != nil {
		return nil, fmt.Errorf("open log: %w", lead.ErrClosed)
	}
	if o.Follow && !o.Previous {
		if err := l.beginToFollow(instanceID); err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
		return l.followLogs(ctx, instanceID), nil
	}
	owner, err := l.api.owners().Get(ctx, objects.Name(instanceID), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	rec, err := readRecord(owner)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	at := 0
	if o.Previous {
		at = 1
	}
	if at >= len(rec.Runs) {
		return io.NopCloser(strings.NewReader("")), nil
	}
	return l.openRun(ctx, instanceID, rec.Runs[at])
}

// mostRead bounds what a node is asked of a log that is not followed, in bytes:
// it would go on for as long as the app writes faster than it is read. Nodes keep
// less in one file.
const mostRead int64 = 256 << 20

// lastOf is the end of a log. A node that is asked for so many bytes gives the
// first of them, and the last are what people look for.
func (l *Launcher) lastOf(stream io.ReadCloser) (io.ReadCloser, error) {
	defer stream.Close()
	last, err := l.readTail(stream)
	if last == nil {
		return nil, err
	}
	if err != nil && last.written == 0 {
		return nil, errors.Join(err, last.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{last.reader(), last}, nil
}

// openRun opens the log of a run as far as it goes now.
func (l *Launcher) openRun(ctx context.Context, id string, r run) (io.ReadCloser, error) {
	kept, err := os.Open(l.file(id, r.Pod))
	if err == nil {
		return kept, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open log: %w", err)
	}
	lines, most := int64(tailLines), mostRead
	stream, err := l.stream(ctx, r.Name, &corev1.PodLogOptions{Container: objects.ContainerApp, TailLines: &lines, LimitBytes: &most})
	if err == nil {
		return l.lastOf(stream)
	}
	if !noLog(err) {
		return nil, err
	}
	for _, path := range []string{l.file(id, r.Pod), l.cutFile(id, r.Pod)} { // it may have ended meanwhile
		if kept, err := os.Open(path); err == nil {
			return kept, nil
		}
	}
	return io.NopCloser(strings.NewReader("")), nil
}

// mostFollowers is how many may follow the log of one instance at once: each costs
// the API server two watches, and a node a stream.
const mostFollowers = 32

func (l *Launcher) beginToFollow(id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.followers[id] >= mostFollowers {
		return controlplane.Errorf(controlplane.CodeTooMany, "%d follow the log of instance %s already", mostFollowers, id).
			WithHint("close some of them, or read the log without following it")
	}
	l.followers[id]++
	return nil
}

func (l *Launcher) endToFollow(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.followers[id]--; l.followers[id] == 0 {
		delete(l.followers, id)
	}
}

// followed is a log that goes on over restarts.
type followed struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

// Close ends a Read that waits.
func (f *followed) Close() error {
	f.cancel()
	err := f.PipeReader.Close()
	<-f.done
	return err
}

func (l *Launcher) followLogs(ctx context.Context, id string) io.ReadCloser {
	out, in := io.Pipe()
	f := &followed{PipeReader: out, done: make(chan struct{})}
	ctx, f.cancel = context.WithCancel(ctx)
	stop := context.AfterFunc(l.ctx, f.cancel)
	l.readers.Go(func() {
		defer close(f.done)
		defer l.endToFollow(id)
		defer f.cancel()
		defer stop()
		defer context.AfterFunc(ctx, func() { in.Close() })()
		in.CloseWithError(l.copyLogs(ctx, id, in))
	})
	return f
}

// copyLogs copies the log of one run after the other until the instance is
// removed. Runs that come and go while another is copied are left out.
func (l *Launcher) copyLogs(ctx context.Context, id string, to io.Writer) error {
	var mu sync.Mutex
	var newest *run
	news := make(chan struct{}, 1)
	ctx, removed := context.WithCancel(ctx)
	defer removed()
	var watching sync.WaitGroup
	defer watching.Wait()
	defer removed()
	watching.Go(func() {
		defer removed()
		l.watchOne(ctx, "configmaps", objects.Name(id), func(e watch.Event) bool {
			owner, ok := e.Object.(*corev1.ConfigMap)
			if !ok {
				return true
			}
			if e.Type == watch.Deleted {
				return false
			}
			if rec, err := readRecord(owner); err == nil && len(rec.Runs) > 0 {
				mu.Lock()
				newest = &rec.Runs[0]
				mu.Unlock()
				select {
				case news <- struct{}{}:
				default:
				}
			}
			return true
		})
	})
	var copied run
	for {
		select {
		case <-news:
		case <-ctx.Done():
			return nil
		}
		mu.Lock()
		now := *newest
		mu.Unlock()
		if now.Pod == copied.Pod {
			continue
		}
		if err := l.copyRun(ctx, id, now, to); err != nil {
			return err
		}
		copied = now
		select {
		case news <- struct{}{}: // maybe another has come meanwhile
		default:
		}
	}
}

// copyRun copies the log of a run to its end.
func (l *Launcher) copyRun(ctx context.Context, id string, r run, to io.Writer) error {
	if l.isOver(ctx, id, r) {
		from, err := l.openRun(ctx, id, r)
		if err != nil {
			return nil
		}
		defer from.Close()
		return copyLog(ctx, to, from)
	}
	l.watchOne(ctx, "pods", r.Name, func(e watch.Event) bool {
		p, ok := e.Object.(*corev1.Pod)
		if !ok || e.Type == watch.Deleted {
			return ok && e.Type != watch.Deleted
		}
		for _, c := range p.Status.ContainerStatuses {
			if c.Name == objects.ContainerApp && (c.State.Running != nil || c.State.Terminated != nil) {
				return false
			}
		}
		return !dead(p)
	})
	if ctx.Err() != nil {
		return nil
	}
	from, err := l.stream(ctx, r.Name, &corev1.PodLogOptions{Container: objects.ContainerApp, Follow: true})
	if err != nil {
		if !noLog(err) && ctx.Err() == nil {
			return err
		}
		if from, err = l.openRun(ctx, id, r); err != nil {
			return nil
		}
	}
	defer from.Close()
	return copyLog(ctx, to, from)
}

func copyLog(ctx context.Context, to io.Writer, from io.Reader) error {
	if _, err := io.Copy(to, from); ctx.Err() == nil && err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	return nil
}

// isOver reports whether a run is known to have ended, as that of an instance
// which sleeps: its log was kept, or its pod is no more.
func (l *Launcher) isOver(ctx context.Context, id string, r run) bool {
	if _, err := os.Stat(l.file(id, r.Pod)); err == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	p, err := l.api.pods().Get(ctx, r.Name, metav1.GetOptions{})
	return apierrors.IsNotFound(err) || err == nil && p.UID != r.Pod
}

// watchOne tells of an object as it is and of each change, until saw returns
// false or ctx ends. One that is not there is waited for.
func (l *Launcher) watchOne(ctx context.Context, resource, name string, saw func(watch.Event) bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lw := cache.NewListWatchFromClient(l.api.core.RESTClient(), resource, l.api.namespace, fields.OneTermEqualSelector("metadata.name", name))
	var of runtime.Object = &corev1.ConfigMap{}
	if resource == "pods" {
		of = &corev1.Pod{}
	}
	handle := func(t watch.EventType) func(any) {
		return func(o any) {
			if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = last.Obj
			}
			if object, ok := o.(runtime.Object); ok && ctx.Err() == nil && !saw(watch.Event{Type: t, Object: object}) {
				cancel()
			}
		}
	}
	changed := handle(watch.Modified)
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: lw, ObjectType: of,
		Handler: cache.ResourceEventHandlerFuncs{AddFunc: handle(watch.Added), UpdateFunc: func(_, o any) { changed(o) }, DeleteFunc: handle(watch.Deleted)},
	})
	informer.RunWithContext(ctx)
}
