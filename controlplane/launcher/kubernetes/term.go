package kubernetes

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/lead"
)

// workers is how many instances are looked at at once.
const workers = 16

// term is the time that a launcher leads.
type term struct {
	*lead.Term
	cfg   Config
	l     *Launcher
	api   *api
	epoch int64
	view  *view
	queue workqueue.TypedRateLimitingInterface[string] // instances to look at

	mu        sync.Mutex
	instances map[string]*instance
}

func newTerm(l *Launcher, epoch int64) (*term, error) {
	t := &term{
		Term: lead.New(), cfg: l.cfg, l: l, api: l.api, epoch: epoch, instances: map[string]*instance{},
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](50*time.Millisecond, 5*time.Second)),
	}
	t.Go(func() {
		<-t.Context().Done()
		t.queue.ShutDown()
	})
	var err error
	t.view, err = newView(t.api, t.changed, t.gone, t.left, func(epoch int64) {
		if epoch > t.epoch {
			t.Depose()
		}
	})
	if err != nil {
		t.End(launcher.ErrNotLeading)
	}
	return t, err
}

// begin takes over from whoever led before. When it returns with an error, the
// term is over.
func (t *term) begin(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.Context(), cancel)()
	defer func() {
		if err == nil {
			return
		}
		if why := t.Over(); why != nil {
			err = why
		}
		t.End(launcher.ErrNotLeading)
	}()
	if err := t.api.take(ctx, t.epoch); err != nil {
		return err
	}
	if err := t.keepPolicy(ctx); err != nil {
		return err
	}
	folders, err := t.l.keptFolders()
	if err != nil {
		return err
	}
	t.Go(func() { t.view.run(t.Context()) })
	if err := t.view.sync(ctx); err != nil {
		return err
	}
	t.sweep(folders)
	if err := t.adopt(ctx); err != nil {
		return err
	}
	for range workers {
		t.Go(t.work)
	}
	return nil
}

// adopt takes over all instances. Once an owner has been written, no earlier
// leader writes it any more, see record.
func (t *term) adopt(ctx context.Context) error {
	var (
		all    sync.WaitGroup
		places = make(chan struct{}, workers)
		errs   = make(chan error, 1)
	)
	for _, o := range t.view.owners.GetStore().List() {
		id := instanceOf(o)
		if id == "" {
			continue
		}
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			if err := t.reconcile(ctx, id); err != nil {
				select {
				case errs <- err:
				default:
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return ctx.Err()
	}
}

// depose ends the term since another leads, and returns why it is over.
func (t *term) depose() error {
	t.Depose()
	return t.Over()
}

// End ends the term and all that runs for it.
func (t *term) End(why error) {
	t.Term.End(why)
	for _, i := range t.all() {
		i.unwake()
	}
}

// act makes a call as a part of the term, with whose end it ends.
func (t *term) act(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.Context(), cancel)()
	done := make(chan error, 1)
	if !t.Go(func() { done <- call(ctx) }) {
		return t.Over()
	}
	err := <-done
	if why := t.Over(); err != nil && why != nil {
		return why
	}
	return err
}

// instance finds or begins what is known of an instance.
func (t *term) instance(id string) *instance {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.instances[id]
	if i == nil {
		i = newInstance(id)
		t.instances[id] = i
	}
	return i
}

// acquire takes the turn of an instance.
func (t *term) acquire(ctx context.Context, id string) (*instance, error) {
	for {
		i := t.instance(id)
		if err := i.lock(ctx); err != nil {
			return nil, err
		}
		if !i.dropped {
			return i, nil
		}
		i.unlock()
	}
}

// drop forgets an instance that has nothing, whose turn the caller has.
func (t *term) drop(i *instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.instances[i.id] == i {
		delete(t.instances, i.id)
	}
	i.dropped = true
	i.mu.Lock()
	i.over = true
	i.mu.Unlock()
	i.pulse()
	i.unwake()
}

func (t *term) all() []*instance {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*instance, 0, len(t.instances))
	for _, i := range t.instances {
		all = append(all, i)
	}
	return all
}

// changed has an instance be looked at.
func (t *term) changed(id string) {
	t.queue.Add(id)
}

// gone notes that an owner is no more.
func (t *term) gone(id string, uid types.UID) {
	t.mu.Lock()
	i := t.instances[id]
	t.mu.Unlock()
	if i == nil {
		return
	}
	i.mu.Lock()
	i.gone = uid
	i.mu.Unlock()
	i.pulse()
}

// left notes a pod that is no more, if it may still run, and has its instance be
// looked at once it does not.
func (t *term) left(p *corev1.Pod) {
	until := lingers(p, time.Now())
	if until.IsZero() {
		return
	}
	i := t.instance(instanceOf(p))
	i.mu.Lock()
	defer i.mu.Unlock()
	if !until.After(i.lingers) {
		return
	}
	// Not by the queue: of its times for an instance it keeps the first alone,
	// which may be that of another try.
	if i.lingered != nil {
		i.lingered.Stop()
	}
	i.lingers = until
	i.lingered = time.AfterFunc(time.Until(until), func() { t.changed(i.id) })
}

func (t *term) work() {
	for {
		id, shutdown := t.queue.Get()
		if shutdown {
			return
		}
		switch err := t.reconcile(t.Context(), id); {
		case err == nil:
			t.queue.Forget(id)
		case t.Context().Err() != nil || errors.Is(err, launcher.ErrFenced):
		default:
			t.cfg.Log.Error("an instance could not be looked after: it is tried again", zap.String("instance", id), zap.Error(err))
			t.queue.AddRateLimited(id)
		}
		t.queue.Done(id)
	}
}
