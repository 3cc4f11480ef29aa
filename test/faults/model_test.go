package faults

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// The life of an instance as the API's callers see it (spec instances.md §2), for
// one whose app starts, does not end by itself, and is not visited.

// deed is what a caller asks of an instance.
type deed struct{ instance, do string }

// told is the answer: a status, and the revision of the record that has it.
type told struct {
	status   string // gone: there is no record
	revision int64
	lost     bool // there was none: perhaps it was done, at whatever time
}

const gone = "gone"

// life is where an instance is.
type life struct {
	status   string
	revision int64
	// after: the record is newer than the revision, since the answer to its last
	// change was lost.
	after bool
}

// byItself is what the control plane makes of a record without being asked, one
// change or several later.
var byItself = map[string][]string{
	"PENDING":     {"PENDING", "DEPLOYED"},
	"RESUMING":    {"RESUMING", "DEPLOYED"},
	"DEPLOYED":    {"DEPLOYED"},
	"SUSPENDING":  {"SUSPENDING", "SUSPENDED"},
	"TERMINATING": {gone},
}

// asked is what a deed makes of a status; where it is not listed it changes
// nothing.
var asked = map[string]map[string][]string{
	"start":   {"": {"PENDING"}},
	"suspend": {"PENDING": {"SUSPENDING"}, "DEPLOYED": {"SUSPENDING"}, "RESUMING": {"SUSPENDING"}},
	// Who has not been asked to stop yet runs on.
	"resume": {"SUSPENDED": {"RESUMING"}, "SUSPENDING": {"RESUMING", "DEPLOYED"}},
	"restart": {
		"PENDING": {"RESUMING"}, "RESUMING": {"RESUMING"}, "DEPLOYED": {"RESUMING"},
		"SUSPENDING": {"RESUMING"}, "SUSPENDED": {"RESUMING"},
	},
	"terminate": {
		"PENDING": {"TERMINATING"}, "RESUMING": {"TERMINATING"}, "DEPLOYED": {"TERMINATING"},
		"SUSPENDING": {"TERMINATING"}, "SUSPENDED": {"TERMINATING"},
	},
}

// before are the statuses that a deed may find.
func (l life) before() []string { return append([]string{l.status}, byItself[l.status]...) }

// unchanged reports whether this record, read as it is, can be what the control
// plane has made of l.
func (l life) unchanged(t told) bool {
	switch {
	case t.status == gone:
		return slices.Contains(l.before(), gone)
	case t.status == l.status && t.revision == l.revision && !l.after:
		return true
	case t.revision <= l.revision:
		return false // it is one of before
	case t.status == l.status && l.after:
		return true
	}
	return slices.Contains(byItself[l.status], t.status)
}

// then are the lives that a deed with this answer may lead to; none: it cannot
// have this answer.
func (l life) then(d deed, t told) (all []any) {
	changes := asked[d.do]
	if t.lost {
		all = append(all, l)
		for _, found := range l.before() {
			for _, status := range changes[found] {
				all = append(all, life{status, l.revision, true})
			}
		}
		return all
	}
	is := life{status: t.status, revision: t.revision}
	for _, found := range l.before() {
		if t.revision > l.revision && slices.Contains(changes[found], t.status) {
			return []any{is}
		}
	}
	// An answer without a change is one about a status that the deed leaves alone.
	if len(changes[t.status]) == 0 && l.unchanged(t) {
		return []any{is}
	}
	return nil
}

// lives is the model of all instances, each by itself.
var lives = (&porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		of := map[string][]porcupine.Operation{}
		for _, op := range history {
			id := op.Input.(deed).instance
			of[id] = append(of[id], op)
		}
		for _, part := range of {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() []any { return []any{life{}} },
	Step: func(state, input, output any) []any { return state.(life).then(input.(deed), output.(told)) },
	DescribeOperation: func(input, output any) string {
		d, t := input.(deed), output.(told)
		if t.lost {
			return d.do + " → ?"
		}
		return fmt.Sprintf("%s → %s %d", d.do, t.status, t.revision)
	},
}).ToModel()

func TestTheModelOfLivesTellsWrongHistories(t *testing.T) {
	type does struct {
		do          string
		told        told
		call, until int64
	}
	// one after another
	serial := func(of ...does) []does {
		for i := range of {
			of[i].call, of[i].until = int64(2*i), int64(2*i+1)
		}
		return of
	}
	says := func(do, status string, revision int64) does {
		return does{do: do, told: told{status: status, revision: revision}}
	}
	lost := func(do string) does { return does{do: do, told: told{lost: true}} }
	start, deployed := says("start", "PENDING", 5), says("read", "DEPLOYED", 7)
	suspend, suspended := says("suspend", "SUSPENDING", 8), says("read", "SUSPENDED", 10)
	for name, c := range map[string]struct {
		history []does
		want    porcupine.CheckResult
	}{
		"a whole life": {serial(start, says("read", "PENDING", 5), deployed, says("resume", "DEPLOYED", 7), suspend,
			says("suspend", "SUSPENDING", 9), suspended, says("resume", "RESUMING", 11), says("restart", "RESUMING", 12),
			says("read", "DEPLOYED", 14), says("terminate", "TERMINATING", 15), says("read", gone, 0), says("restart", gone, 0)), porcupine.Ok},
		"what has not been stopped runs on": {serial(start, deployed, suspend, says("resume", "DEPLOYED", 9)), porcupine.Ok},
		"a read goes back":                  {serial(start, deployed, suspend, suspended, deployed), porcupine.Illegal},
		"a read goes back within a status":  {serial(start, says("read", "DEPLOYED", 8), deployed), porcupine.Illegal},
		"who sleeps runs, and nobody asked": {serial(start, deployed, suspend, suspended, says("read", "DEPLOYED", 12)), porcupine.Illegal},
		"who sleeps starts, and nobody asked": {
			serial(start, deployed, suspend, suspended, says("read", "RESUMING", 12)), porcupine.Illegal},
		"who runs is started anew, and nobody asked": {serial(start, deployed, says("read", "RESUMING", 9)), porcupine.Illegal},
		"a suspend is forgotten":                     {serial(start, deployed, suspend, says("read", "DEPLOYED", 9)), porcupine.Illegal},
		"a restart changes nothing":                  {serial(start, deployed, says("restart", "DEPLOYED", 7)), porcupine.Illegal},
		"who was terminated is there":                {serial(start, says("terminate", "TERMINATING", 6), says("read", gone, 0), deployed), porcupine.Illegal},
		"who was not terminated is gone":             {serial(start, deployed, says("read", gone, 0)), porcupine.Illegal},
		"at one time, in an order that can be": {
			[]does{start, {"suspend", suspend.told, 10, 30}, {"read", deployed.told, 10, 30}}, porcupine.Ok},
		"one after another, in an order that cannot be": {
			[]does{start, {"suspend", suspend.told, 10, 20}, {"read", deployed.told, 21, 30}}, porcupine.Illegal},
		"a lost suspend was made":     {serial(start, deployed, lost("suspend"), suspended), porcupine.Ok},
		"a lost suspend was not made": {serial(start, deployed, lost("suspend"), deployed), porcupine.Ok},
		"a lost suspend was made, and goes back": {
			serial(start, deployed, lost("suspend"), suspended, deployed), porcupine.Illegal},
		"a lost suspend is no restart": {serial(start, deployed, lost("suspend"), says("read", "RESUMING", 9)), porcupine.Illegal},
	} {
		t.Run(name, func(t *testing.T) {
			var history []porcupine.Operation
			for i, d := range c.history {
				op := porcupine.Operation{ClientId: i, Input: deed{"it", d.do}, Output: d.told, Call: d.call, Return: d.until}
				history = append(history, op)
			}
			if got := porcupine.CheckOperationsTimeout(lives, history, time.Minute); got != c.want {
				t.Errorf("the history is %s, want %s", got, c.want)
			}
		})
	}
}
