package diagnose

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// of are the events of one object, newest last. Events that name no UID are
// those of the name.
func of(events []*corev1.Event, uid types.UID, name string) []*corev1.Event {
	var own []*corev1.Event
	for _, e := range events {
		if e == nil {
			continue
		}
		if about := e.InvolvedObject; about.UID == uid && uid != "" || (about.UID == "" || uid == "") && about.Name == name {
			own = append(own, e)
		}
	}
	slices.SortStableFunc(own, func(a, b *corev1.Event) int {
		return cmp.Or(last(a).Compare(last(b)), cmp.Compare(version(a), version(b)))
	})
	return own
}

// last is when an event was seen last: a series has a time of its own. Times of
// most reporters are whole seconds, so they are all read as such.
func last(e *corev1.Event) time.Time {
	at := e.EventTime.Time
	if e.Series != nil {
		at = e.Series.LastObservedTime.Time
	}
	if e.LastTimestamp.After(at) {
		at = e.LastTimestamp.Time
	}
	if at.IsZero() {
		at = e.CreationTimestamp.Time
	}
	return at.Truncate(time.Second)
}

// version tells events of one second apart.
func version(e *corev1.Event) uint64 {
	v, err := strconv.ParseUint(e.ResourceVersion, 10, 64)
	if err != nil {
		return 0
	}
	return v
}

// newest is the last event of one of these reasons, or nil.
func newest(events []*corev1.Event, reasons ...string) *corev1.Event {
	for _, e := range slices.Backward(events) {
		if slices.Contains(reasons, e.Reason) {
			return e
		}
	}
	return nil
}
