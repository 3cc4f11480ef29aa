package kubernetes

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// recordKey is where the owner of an instance keeps its record.
const recordKey = "record"

// record is what is known of an instance, in its owner's data. It is changed by
// comparing the owner's version alone, and every leader writes it before it acts:
// so an act of an earlier leader that is not in the record when the next one has
// taken over never comes to be.
type record struct {
	Epoch      int64  `json:"epoch"`           // of who wrote it
	Generation int64  `json:"generation"`      // the newest that was seen
	Start      *start `json:"start,omitempty"` // the newest; nil: there is none
	// Runs are the pods that were let run, the newest first: at most two.
	Runs []run `json:"runs,omitempty"`
}

// start is one start of the instance.
type start struct {
	ID            string        `json:"id"` // tells it from others of its generation
	Generation    int64         `json:"generation"`
	Epoch         int64         `json:"epoch"` // of who began it
	At            time.Time     `json:"at"`
	Port          int           `json:"port"`
	HealthPath    string        `json:"health_path,omitempty"`
	HealthTimeout time.Duration `json:"health_timeout"`
	Warnings      []string      `json:"warnings,omitempty"`
	// Pod is the one that was let run; empty: none yet. A start has one.
	Pod   types.UID `json:"pod,omitempty"`
	Ready bool      `json:"ready,omitempty"`
	End   *end      `json:"end,omitempty"` // nil: it is to run
}

// end is why a start does not go on.
type end struct {
	At     time.Time            `json:"at"`
	Reason *controlplane.Reason `json:"reason,omitempty"` // nil: on purpose
}

// run is a pod that was let run.
type run struct {
	Generation int64     `json:"generation"`
	Pod        types.UID `json:"pod"`
	Name       string    `json:"name"`
}

// runs reports whether the start is to run.
func (s *start) runs() bool { return s != nil && s.End == nil }

// made reports whether an object with these labels was made for the start. Another
// leader's start may have its generation.
func (s *start) made(labels map[string]string) bool {
	return objects.Generation(labels) == s.Generation && objects.Epoch(labels) == s.Epoch
}

// clone is a copy that shares nothing that is changed.
func (r record) clone() record {
	if r.Start != nil {
		s := *r.Start
		r.Start = &s
	}
	r.Runs = slices.Clone(r.Runs)
	return r
}

// let notes that a pod may run from now on.
func (r *record) let(pod *corev1.Pod) {
	r.Start.Pod = pod.UID
	r.Runs = append([]run{{r.Start.Generation, pod.UID, pod.Name}}, r.Runs...)
	r.Runs = r.Runs[:min(2, len(r.Runs))]
}

// last is the pod that was let run last, of whatever start.
func (r *record) last() types.UID {
	if len(r.Runs) == 0 {
		return ""
	}
	return r.Runs[0].Pod
}

// readRecord reads the record of an owner. One that has none has an empty one.
func readRecord(owner *corev1.ConfigMap) (r record, err error) {
	if owner == nil || owner.Data[recordKey] == "" {
		return r, nil
	}
	if err := json.Unmarshal([]byte(owner.Data[recordKey]), &r); err != nil {
		return record{}, fmt.Errorf("read the record in ConfigMap %s: %w", owner.Name, err)
	}
	return r, nil
}

func (r record) write(owner *corev1.ConfigMap) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	owner.Data = map[string]string{recordKey: string(text)}
	return nil
}
