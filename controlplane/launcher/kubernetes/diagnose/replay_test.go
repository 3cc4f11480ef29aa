package diagnose_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/diagnose"
)

var update = flag.Bool("update", false, "record anew what a real cluster says")

// want is what is expected of a verdict.
type want struct {
	stage   controlplane.Stage
	ended   bool
	code    controlplane.ReasonCode // empty: no reason
	says    []string                // in the reason's text
	text    string                  // in the words for visitors
	scaling bool
	lost    bool
}

func (w want) differs(v diagnose.Verdict) string {
	code, text := controlplane.ReasonCode(""), ""
	if v.Reason != nil {
		code, text = v.Reason.Code, v.Reason.Text
	}
	switch {
	case v.Stage != w.stage, v.Ended != w.ended, code != w.code, v.Scaling != w.scaling, v.Unreachable != w.lost:
		return fmt.Sprintf("got %+v (%s: %s), want %+v", v, code, text, w)
	case !strings.Contains(v.Text, w.text):
		return fmt.Sprintf("the words are %q, want %q", v.Text, w.text)
	}
	for _, part := range w.says {
		if !strings.Contains(text, part) {
			return fmt.Sprintf("the reason's text is %q, want %q", text, part)
		}
	}
	return ""
}

// scene is what a launcher would have of one start.
type scene struct {
	deployment *appsv1.Deployment
	pods       []*corev1.Pod // in the order of their coming
	claims     map[types.UID]*corev1.PersistentVolumeClaim
	events     map[types.UID]*corev1.Event
}

func (s *scene) apply(t watch.EventType, object runtime.Object) {
	switch o := object.(type) {
	case *appsv1.Deployment:
		s.deployment = o
	case *corev1.PersistentVolumeClaim:
		if s.claims == nil {
			s.claims = map[types.UID]*corev1.PersistentVolumeClaim{}
		}
		s.claims[o.UID] = o
	case *corev1.Event:
		if s.events == nil {
			s.events = map[types.UID]*corev1.Event{}
		}
		s.events[o.UID] = o
	case *corev1.Pod:
		if t == watch.Deleted {
			return
		}
		at := slices.IndexFunc(s.pods, func(p *corev1.Pod) bool { return p.UID == o.UID })
		if at >= 0 {
			s.pods[at] = o
		} else {
			s.pods = append(s.pods, o)
		}
	}
}

// verdict is of the first pod: the launcher ends a workload with its pod.
func (s *scene) verdict() diagnose.Verdict {
	o := diagnose.Objects{Deployment: s.deployment}
	if len(s.pods) > 0 {
		o.Pod = s.pods[0]
	}
	for _, c := range s.claims {
		o.Claims = append(o.Claims, c)
	}
	for _, e := range s.events {
		o.Events = append(o.Events, e)
	}
	return diagnose.Start(o)
}

// replay reads a recording and tells of the verdict after each of its frames.
func replay(t *testing.T, path string, each func(at int, v diagnose.Verdict, changed metav1.Object)) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s scene
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for at := 1; lines.Scan(); at++ {
		var f frame
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			t.Fatal(err)
		}
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(f.Object, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.apply(f.Type, object)
		each(at, s.verdict(), object.(metav1.Object))
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestCaptured replays what real clusters have said.
func TestCaptured(t *testing.T) {
	for _, cause := range causes {
		t.Run(cause.name, func(t *testing.T) {
			var last diagnose.Verdict
			replay(t, captured(cause.name), func(at int, v diagnose.Verdict, changed metav1.Object) {
				where := fmt.Sprintf("frame %d (%T %s)", at, changed, changed.GetName())
				if last.Ended && (!v.Ended || v.Reason.Code != last.Reason.Code) {
					t.Errorf("%s: what has ended goes on, or for another reason: %+v, then %+v", where, last.Reason, v.Reason)
				}
				if !v.Ended && slices.Index(controlplane.Stages, v.Stage) < slices.Index(controlplane.Stages, last.Stage) {
					t.Errorf("%s: stage %s after %s", where, v.Stage, last.Stage)
				}
				if problem := fit(v); problem != "" {
					t.Errorf("%s: %s", where, problem)
				}
				last = v
			})
			if problem := cause.want.differs(last); problem != "" {
				t.Error(problem)
			}
			if last.Reason != nil {
				t.Logf("%s; %q", last.Reason, last.Text)
			}
		})
	}
}
