package lifecycle

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func TestNext(t *testing.T) {
	const (
		pending, isDeployed, suspending = controlplane.Pending, controlplane.Deployed, controlplane.Suspending
		suspended, resuming, isFailed   = controlplane.Suspended, controlplane.Resuming, controlplane.Failed
		unknown, terminating            = controlplane.Unknown, controlplane.Terminating
	)
	// The record's generation is 5 and its endpoint, where it has one, "e".
	record := func(s controlplane.Status, f ...func(*controlplane.Instance)) *controlplane.Instance {
		in := &controlplane.Instance{Status: s, Generation: 5, Stage: controlplane.StageQueued, Owner: "ada", LastActive: noon}
		if s == isDeployed || s == unknown {
			in.Endpoint = "e"
		}
		for _, g := range f {
			g(in)
		}
		return in
	}
	retry := func(d time.Duration) func(*controlplane.Instance) {
		return func(in *controlplane.Instance) { in.RetryAfter = noon.Add(d) }
	}
	used := func(ago time.Duration) func(*controlplane.Instance) {
		return func(in *controlplane.Instance) { in.LastActive = noon.Add(-ago) }
	}
	timeout := func(d time.Duration) func(*controlplane.Instance) {
		return func(in *controlplane.Instance) { in.Timeout = d }
	}
	busy := func(d time.Duration) func(*controlplane.Instance) {
		return func(in *controlplane.Instance) { in.Busy = &controlplane.Busy{Until: noon.Add(d)} }
	}
	wakes := func(p controlplane.WakePolicy) func(*controlplane.Instance) {
		return func(in *controlplane.Instance) { in.Wake = p }
	}
	protected := func(in *controlplane.Instance) { in.NoAutosuspend = true }
	endpointE := func(in *controlplane.Instance) { in.Endpoint = "e" }
	noEndpoint := func(in *controlplane.Instance) { in.Endpoint = "" }
	asked := func(in *controlplane.Instance) { in.Sleep = &controlplane.Sleep{Cause: controlplane.SleepAsked} }
	isIdle := func(in *controlplane.Instance) {
		in.Endpoint, in.LastActive, in.Sleep = "e", noon.Add(-2*time.Hour), &controlplane.Sleep{Cause: controlplane.SleepIdle}
	}
	isStopping := func(in *controlplane.Instance) { in.Endpoint, in.Sleep.Stopping = "", true }
	told := func(ago time.Duration) mark { return mark{told: true, since: noon.Add(-ago)} }
	by := func(user string) *controlplane.WakeIntent {
		return &controlplane.WakeIntent{Visitor: controlplane.Visitor{User: user}}
	}
	starting := func(generation int64, stage controlplane.Stage, age time.Duration) *launcher.Fact {
		return &launcher.Fact{Generation: generation, State: launcher.Starting, Stage: stage, At: noon.Add(-age)}
	}
	ready := func(generation int64) *launcher.Fact {
		return &launcher.Fact{Generation: generation, State: launcher.Ready, Endpoint: "e", At: noon}
	}
	elsewhere := ready(5)
	elsewhere.Endpoint = "f"
	somebodyElse := ready(5)
	somebodyElse.Identity = "i"
	crashed := func(generation int64) *launcher.Fact {
		return &launcher.Fact{Generation: generation, State: launcher.Ended, Reason: &controlplane.Reason{Code: controlplane.Crashed}, At: noon}
	}
	stopped := func(generation int64) *launcher.Fact {
		return &launcher.Fact{Generation: generation, State: launcher.Ended, At: noon}
	}
	says := func(text string, percent int, of controlplane.Stage) *launcher.Fact {
		f := starting(5, of, time.Hour)
		f.Text, f.Percent = text, percent
		return f
	}
	knows := func(text string, percent int, ago time.Duration) said {
		return said{generation: 5, text: text, percent: percent, at: noon.Add(-ago)}
	}
	visited := &controlplane.WakeIntent{}
	does := func(a action) step { return step{action: a} }
	rests := step{}
	again := func(d time.Duration) step { return step{again: noon.Add(d)} }
	for name, c := range map[string]struct {
		view view
		want step
	}{
		"no record, nothing known": {view{}, rests},
		"no record, starts":        {view{fact: starting(1, "", 0)}, does(stop)},
		"no record, ready":         {view{fact: ready(1)}, does(stop)},
		"no record, crashed":       {view{fact: crashed(1)}, rests},
		"no record, stopped":       {view{fact: stopped(1)}, rests},
		"no record, a visitor":     {view{wake: visited}, rests},
		"unread, ready":            {view{unread: true, fact: ready(1)}, rests},
		"unread, known before":     {view{unread: true, record: record(terminating)}, rests},

		"pending, nothing known":               {view{record: record(pending)}, does(enqueue)},
		"pending, visitor":                     {view{record: record(pending), wake: visited}, does(enqueue)},
		"pending, in the queue":                {view{record: record(pending), slot: slotQueued}, rests},
		"pending, in the queue, visitor":       {view{record: record(pending), slot: slotQueued, wake: visited}, does(clearWake)},
		"pending, its turn":                    {view{record: record(pending), slot: slotHeld}, does(start)},
		"resuming, its turn, older one ready":  {view{record: record(resuming), fact: ready(4), slot: slotHeld}, does(start)},
		"resuming, its turn, visitor":          {view{record: record(resuming), slot: slotHeld, wake: visited}, does(start)},
		"resuming, back-off, its turn":         {view{record: record(resuming, retry(time.Second)), slot: slotHeld}, again(time.Second)},
		"resuming, starts without a slot":      {view{record: record(resuming), fact: starting(5, "", 0)}, rests},
		"pending, stopped":                     {view{record: record(pending), fact: stopped(5)}, does(enqueue)},
		"pending, crashed":                     {view{record: record(pending), fact: crashed(5)}, does(failed)},
		"pending, ready":                       {view{record: record(pending), fact: ready(5)}, does(deployed)},
		"pending, ready, visitor":              {view{record: record(pending), fact: ready(5), wake: visited}, does(deployed)},
		"pending, starts":                      {view{record: record(pending), fact: starting(5, "", 0)}, rests},
		"pending, starts, visitor":             {view{record: record(pending), fact: starting(5, "", 0), wake: visited}, does(clearWake)},
		"pending, the stage is known":          {view{record: record(pending), fact: starting(5, controlplane.StageQueued, time.Hour)}, rests},
		"pending, a new stage":                 {view{record: record(pending), fact: starting(5, controlplane.StageBundle, 0)}, again(stageDelay)},
		"pending, a stage that nearly lasts":   {view{record: record(pending), fact: starting(5, controlplane.StageBundle, stageDelay-1)}, again(1)},
		"pending, a stage that lasts":          {view{record: record(pending), fact: starting(5, controlplane.StageBundle, stageDelay)}, does(setStage)},
		"pending, words on the stage":          {view{record: record(pending), fact: says("a", 1, controlplane.StageQueued)}, does(setProgress)},
		"pending, words that are known":        {view{record: record(pending), fact: says("a", 1, controlplane.StageQueued), said: knows("a", 1, 0)}, rests},
		"pending, new words at once":           {view{record: record(pending), fact: says("a", 2, controlplane.StageQueued), said: knows("a", 1, 0)}, again(sayEvery)},
		"pending, new words after a second":    {view{record: record(pending), fact: says("a", 2, controlplane.StageQueued), said: knows("a", 1, sayEvery)}, does(setProgress)},
		"pending, the words of a start before": {view{record: record(pending), fact: says("a", 1, controlplane.StageQueued), said: said{generation: 4, text: "a", percent: 1}}, does(setProgress)},
		"pending, new words, a visitor":        {view{record: record(pending), fact: says("a", 2, controlplane.StageQueued), wake: visited}, does(clearWake)},
		"pending, words on a new stage":        {view{record: record(pending), fact: says("a", 2, controlplane.StageDependencies)}, does(setStage)},
		"resuming, nothing known":              {view{record: record(resuming)}, does(enqueue)},
		"resuming, older one ready":            {view{record: record(resuming), fact: ready(4)}, does(enqueue)},
		"resuming, older one starts":           {view{record: record(resuming), fact: starting(4, "", 0)}, does(enqueue)},
		"resuming, older one crashed":          {view{record: record(resuming), fact: crashed(4)}, does(enqueue)},
		"resuming, newer one ready":            {view{record: record(resuming), fact: ready(6)}, does(enqueue)}, // refused by the launcher
		"resuming, back-off":                   {view{record: record(resuming, retry(time.Second)), fact: crashed(4)}, again(time.Second)},
		"resuming, back-off, visitor":          {view{record: record(resuming, retry(time.Second)), fact: crashed(4), wake: visited}, again(time.Second)},
		"resuming, back-off just over":         {view{record: record(resuming, retry(0)), fact: crashed(4)}, does(enqueue)},
		"resuming, ready in spite of back-off": {view{record: record(resuming, retry(time.Second)), fact: ready(5)}, does(deployed)},

		"deployed, ready":                   {view{record: record(isDeployed), fact: ready(5)}, again(time.Hour)},
		"deployed, ready elsewhere":         {view{record: record(isDeployed), fact: elsewhere}, does(deployed)},
		"deployed, ready as somebody else":  {view{record: record(isDeployed), fact: somebodyElse}, does(deployed)},
		"deployed, a late visitor":          {view{record: record(isDeployed), fact: ready(5), wake: visited}, does(clearWake)},
		"deployed, nothing known":           {view{record: record(isDeployed)}, does(resume)},
		"deployed, stopped":                 {view{record: record(isDeployed), fact: stopped(5)}, does(resume)},
		"deployed, older one only":          {view{record: record(isDeployed), fact: ready(4)}, does(resume)},
		"deployed, crashed":                 {view{record: record(isDeployed), fact: crashed(5)}, does(restart)},
		"deployed, an older one crashed":    {view{record: record(isDeployed), fact: crashed(4)}, does(resume)},
		"deployed, starts":                  {view{record: record(isDeployed), fact: starting(5, controlplane.StageHealth, time.Hour)}, rests},
		"unknown, ready":                    {view{record: record(unknown), fact: ready(5)}, does(deployed)},
		"unknown, nothing known":            {view{record: record(unknown)}, does(resume)},
		"unknown, crashed":                  {view{record: record(unknown), fact: crashed(5)}, does(restart)},
		"deployed, just used":               {view{record: record(isDeployed, used(time.Second)), fact: ready(5)}, again(time.Hour - time.Second)},
		"deployed, nearly idle":             {view{record: record(isDeployed, used(time.Hour-1)), fact: ready(5)}, again(1)},
		"deployed, idle":                    {view{record: record(isDeployed, used(time.Hour)), fact: ready(5)}, does(idle)},
		"deployed, idle and elsewhere":      {view{record: record(isDeployed, used(time.Hour)), fact: elsewhere}, does(deployed)},
		"deployed, idle and crashed":        {view{record: record(isDeployed, used(time.Hour)), fact: crashed(5)}, does(restart)},
		"deployed, idle, a visitor":         {view{record: record(isDeployed, used(time.Hour)), fact: ready(5), wake: visited}, does(clearWake)},
		"deployed, idle, starts":            {view{record: record(isDeployed, used(time.Hour)), fact: starting(5, "", 0)}, rests},
		"deployed, idle, protected":         {view{record: record(isDeployed, used(time.Hour), protected), fact: ready(5)}, rests},
		"deployed, idle, never sleeps":      {view{record: record(isDeployed, used(time.Hour), timeout(-1)), fact: ready(5)}, rests},
		"deployed, idle, a longer timeout":  {view{record: record(isDeployed, used(time.Hour), timeout(2*time.Hour)), fact: ready(5)}, again(time.Hour)},
		"deployed, idle, a shorter timeout": {view{record: record(isDeployed, used(time.Second), timeout(time.Second)), fact: ready(5)}, does(idle)},
		"deployed, idle, busy":              {view{record: record(isDeployed, used(time.Hour), busy(time.Minute)), fact: ready(5)}, again(time.Minute)},
		"deployed, idle, busy no longer":    {view{record: record(isDeployed, used(time.Hour), busy(0)), fact: ready(5)}, does(idle)},
		"deployed, idle by its record, but edges tell of use": {
			view{record: record(isDeployed, used(2*time.Hour)), fact: ready(5), use: use{active: noon.Add(-time.Minute)}, wrote: noon}, again(time.Minute)},
		"deployed, idle by its record, but edges tell of presence": {
			view{record: record(isDeployed, used(2*time.Hour)), fact: ready(5), use: use{present: noon.Add(-time.Minute)}, wrote: noon}, again(time.Minute)},
		"deployed, presence for too long": {
			view{record: record(isDeployed, used(24*time.Hour)), fact: ready(5), use: use{present: noon}}, does(idle)},
		"deployed, idle by its record, but the last leader may have known of use": {
			view{record: record(isDeployed, used(time.Hour)), fact: ready(5), last: use{active: noon.Add(-time.Minute)}}, again(time.Hour - time.Minute)},
		"deployed, news that the record does not need yet": {
			view{record: record(isDeployed, used(30*time.Second)), fact: ready(5), use: use{active: noon}}, again(30 * time.Second)},
		"deployed, news that it needs":              {view{record: record(isDeployed, used(time.Minute)), fact: ready(5), use: use{active: noon}}, does(fold)},
		"deployed, news that it needs, just folded": {view{record: record(isDeployed, used(time.Minute)), fact: ready(5), use: use{active: noon}, wrote: noon}, again(time.Minute)},
		"deployed, a deadline before the news are due": {
			view{record: record(isDeployed, used(time.Second), timeout(2*time.Second)), fact: ready(5), use: use{active: noon}}, again(2 * time.Second)},

		"suspending by an older program":   {view{record: record(suspending, endpointE), fact: ready(5), acked: true}, does(stopping)},
		"suspending, nothing known":        {view{record: record(suspending, asked)}, does(stopping)},
		"suspending, stopped":              {view{record: record(suspending, asked), fact: stopped(5)}, does(stopping)},
		"suspending, starts":               {view{record: record(suspending, asked), fact: starting(5, "", 0)}, does(stopping)},
		"suspending, crashed meanwhile":    {view{record: record(suspending, asked, endpointE), fact: crashed(5)}, does(stopping)},
		"suspending, edges are to be told": {view{record: record(suspending, asked, endpointE), fact: ready(5)}, does(tellEdges)},
		"suspending, no acknowledgements":  {view{record: record(suspending, asked, endpointE), fact: ready(5), mark: told(time.Second)}, again(4 * time.Second)},
		"suspending, none for too long":    {view{record: record(suspending, asked, endpointE), fact: ready(5), mark: told(ackLimit)}, does(stopping)},
		"suspending, all know, requests":   {view{record: record(suspending, asked, endpointE), fact: ready(5), mark: told(time.Second), acked: true, open: 2}, again(29 * time.Second)},
		"suspending, requests for too long": {
			view{record: record(suspending, asked, endpointE), fact: ready(5), mark: told(30 * time.Second), acked: true, open: 2}, does(stopping)},
		"suspending, no edge knows, requests": {
			view{record: record(suspending, asked, endpointE), fact: ready(5), mark: told(ackLimit), open: 2}, again(25 * time.Second)},
		"suspending, all know":              {view{record: record(suspending, asked, endpointE), fact: ready(5), mark: told(0), acked: true}, does(stopping)},
		"suspending, all know without help": {view{record: record(suspending, asked, endpointE), fact: ready(5), acked: true}, does(stopping)},
		"suspending as asked, visitor":      {view{record: record(suspending, asked, endpointE), fact: ready(5), mark: told(0), wake: visited}, again(ackLimit)},
		"suspending as asked, in use": {
			view{record: record(suspending, asked, endpointE), fact: ready(5), mark: told(0), use: use{active: noon}}, again(ackLimit)},
		"idle, no acknowledgements":  {view{record: record(suspending, isIdle), fact: ready(5), mark: told(0)}, again(ackLimit)},
		"idle, all know":             {view{record: record(suspending, isIdle), fact: ready(5), mark: told(0), acked: true}, does(stopping)},
		"idle, visitor":              {view{record: record(suspending, isIdle), fact: ready(5), mark: told(0), acked: true, wake: visited}, does(withdraw)},
		"idle, visitor, no endpoint": {view{record: record(suspending, isIdle, noEndpoint), fact: ready(5), wake: visited}, does(stopping)},
		"idle, visitor, crashed":     {view{record: record(suspending, isIdle), fact: crashed(5), wake: visited}, does(stopping)},
		"idle, visitor, never wakes": {view{record: record(suspending, isIdle, wakes(controlplane.WakeNever)), fact: ready(5), wake: visited}, does(refuse)},
		"idle, in use after all":     {view{record: record(suspending, isIdle), fact: ready(5), acked: true, use: use{active: noon.Add(-time.Minute)}}, does(withdraw)},
		"idle, in use, but too long ago": {
			view{record: record(suspending, isIdle), fact: ready(5), acked: true, use: use{active: noon.Add(-time.Hour)}}, does(stopping)},
		"idle, protected now":                {view{record: record(suspending, isIdle, protected), fact: ready(5), acked: true}, does(withdraw)},
		"idle, busy now":                     {view{record: record(suspending, isIdle, busy(time.Second)), fact: ready(5), acked: true}, does(withdraw)},
		"being stopped, ready":               {view{record: record(suspending, asked, isStopping), fact: ready(5)}, does(suspend)},
		"being stopped, stopped":             {view{record: record(suspending, asked, isStopping), fact: stopped(5)}, does(suspend)},
		"being stopped, visitor":             {view{record: record(suspending, isIdle, isStopping), fact: ready(5), wake: visited}, does(suspend)},
		"being stopped, in use":              {view{record: record(suspending, isIdle, isStopping), fact: ready(5), use: use{active: noon}}, does(suspend)},
		"suspended, owner's only, owner":     {view{record: record(suspended, wakes(controlplane.WakeOwner)), wake: by("Ada")}, does(wake)},
		"suspended, owner's only, other":     {view{record: record(suspended, wakes(controlplane.WakeOwner)), wake: by("bob")}, does(refuse)},
		"suspended, owner's only, somebody":  {view{record: record(suspended, wakes(controlplane.WakeOwner)), wake: visited}, does(refuse)},
		"suspended, by hand only, owner":     {view{record: record(suspended, wakes(controlplane.WakeNever)), wake: by("ada")}, does(refuse)},
		"failed, by hand only, owner":        {view{record: record(isFailed, wakes(controlplane.WakeNever)), wake: by("ada")}, does(refuse)},
		"suspended, nothing known":           {view{record: record(suspended)}, rests},
		"suspended, stopped":                 {view{record: record(suspended), fact: stopped(5)}, rests},
		"suspended, runs":                    {view{record: record(suspended), fact: ready(5)}, does(stop)},
		"suspended, an older one runs":       {view{record: record(suspended), fact: ready(4)}, does(stop)},
		"suspended, runs, visitor":           {view{record: record(suspended), fact: ready(5), wake: visited}, does(stop)},
		"suspended, visitor":                 {view{record: record(suspended), fact: stopped(5), wake: visited}, does(wake)},
		"failed":                             {view{record: record(isFailed, retry(time.Second)), fact: crashed(5)}, rests},
		"failed, back-off over":              {view{record: record(isFailed, retry(-time.Second)), fact: crashed(5)}, rests},
		"failed, runs":                       {view{record: record(isFailed), fact: starting(5, "", 0)}, does(stop)},
		"failed, visitor before RetryAfter":  {view{record: record(isFailed, retry(time.Second)), fact: crashed(5), wake: visited}, does(refuse)},
		"failed, visitor at RetryAfter":      {view{record: record(isFailed, retry(0)), fact: crashed(5), wake: visited}, does(wake)},
		"failed, visitor after RetryAfter":   {view{record: record(isFailed, retry(-time.Second)), fact: crashed(5), wake: visited}, does(wake)},
		"terminating, nothing known":         {view{record: record(terminating)}, does(remove)},
		"terminating, ready":                 {view{record: record(terminating), fact: ready(5)}, does(remove)},
		"terminating, a visitor":             {view{record: record(terminating), wake: visited}, does(remove)},
		"terminating, whatever its back-off": {view{record: record(terminating, retry(time.Hour))}, does(remove)},
	} {
		t.Run(name, func(t *testing.T) {
			c.view.now, c.view.drain = noon, 30*time.Second
			c.view.sleep = controlplane.SleepSettings{Timeout: time.Hour, Presence: 24 * time.Hour}
			if got := next(c.view); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestDoubling(t *testing.T) {
	for n, want := range []time.Duration{5, 10, 20, 40, 80, 160, 300, 300} {
		if got := doubling(firstRetry, n, lastRetry); got != want*time.Second {
			t.Errorf("%d: %v, want %v", n, got, want*time.Second)
		}
	}
	if got := doubling(firstRetry, 1<<30, lastRetry); got != lastRetry {
		t.Errorf("the last: %v", got)
	}
}

func TestRecordEnd(t *testing.T) {
	for name, c := range map[string]struct {
		minutes []int // of the ends
		tooMany bool  // at the last one
	}{
		"one":                           {[]int{0}, false},
		"four in ten minutes":           {[]int{0, 1, 2, 3}, false},
		"five in ten minutes":           {[]int{0, 1, 2, 3, 9}, true},
		"five in ten minutes and later": {[]int{0, 1, 2, 3, 10}, false},
		"slowly for ever":               {[]int{0, 3, 6, 9, 12, 15, 18, 21}, false},
		"slowly, then fast":             {[]int{0, 20, 21, 22, 23, 24}, true},
	} {
		t.Run(name, func(t *testing.T) {
			in := new(controlplane.Instance)
			for i, m := range c.minutes {
				tooMany := recordEnd(in, noon.Add(time.Duration(m)*time.Minute))
				if want := c.tooMany && i == len(c.minutes)-1; tooMany != want {
					t.Errorf("end %d: too many %v, want %v", i, tooMany, want)
				}
			}
			if in.Restarts != len(c.minutes) || len(in.Ends) > maxEnds {
				t.Errorf("%d restarts, %d ends kept", in.Restarts, len(in.Ends))
			}
		})
	}
}

func TestChange(t *testing.T) {
	reason := &controlplane.Reason{Code: controlplane.Crashed, Text: "it ended"}
	ended := &launcher.Fact{State: launcher.Ended, Reason: reason}
	type instance = controlplane.Instance
	begun := func(cause string) *controlplane.Beginning { return &controlplane.Beginning{At: noon, Cause: cause} }
	readyFor := func(d time.Duration) *controlplane.Beginning {
		return &controlplane.Beginning{At: noon.Add(-time.Hour), ReadyAt: noon.Add(-d)}
	}
	ago := func(n int) (ends []time.Time) {
		for i := range n {
			ends = append(ends, noon.Add(-time.Duration(n-i)*time.Second))
		}
		return ends
	}
	for name, c := range map[string]struct {
		action action
		fact   *launcher.Fact
		before instance
		want   instance
	}{
		"deployed": {deployed, &launcher.Fact{State: launcher.Ready, Endpoint: "e", Identity: "i"},
			instance{Status: controlplane.Resuming, Stage: controlplane.StageHealth, Reason: reason, Failures: 2, RetryAfter: noon, Generation: 3, Ends: ago(2)},
			instance{Status: controlplane.Deployed, Endpoint: "e", Identity: "i", Failures: 2, Generation: 3, LastActive: noon, Ends: ago(2)}},
		"deployed, without what it asks for": {deployed, &launcher.Fact{State: launcher.Ready, Endpoint: "e", Warnings: []string{"w"}},
			instance{Status: controlplane.Resuming, Begun: begun(controlplane.BegunRun)},
			instance{Status: controlplane.Deployed, Endpoint: "e", LastActive: noon, Begun: &controlplane.Beginning{At: noon, Cause: controlplane.BegunRun, ReadyAt: noon, Warnings: []string{"w"}}}},
		"failed, without what it asks for": {failed, &launcher.Fact{State: launcher.Ended, Reason: reason, Warnings: []string{"w"}},
			instance{Status: controlplane.Pending, Begun: begun(controlplane.BegunRun)},
			instance{Status: controlplane.Failed, Reason: reason, Failures: 1, RetryAfter: noon.Add(5 * time.Second), Begun: &controlplane.Beginning{At: noon, Cause: controlplane.BegunRun, Warnings: []string{"w"}}}},
		"failed first": {failed, ended, instance{Status: controlplane.Pending, Stage: controlplane.StageHealth, Generation: 1},
			instance{Status: controlplane.Failed, Reason: reason, Failures: 1, RetryAfter: noon.Add(5 * time.Second), Generation: 1}},
		"failed again": {failed, ended, instance{Status: controlplane.Resuming, Failures: 2, Generation: 4},
			instance{Status: controlplane.Failed, Reason: reason, Failures: 3, RetryAfter: noon.Add(20 * time.Second), Generation: 4}},
		"first restart": {restart, ended, instance{Status: controlplane.Deployed, Endpoint: "e", Identity: "i", Generation: 1},
			instance{Status: controlplane.Resuming, Stage: controlplane.StageQueued, Generation: 2, Restarts: 1, Ends: []time.Time{noon}, RetryAfter: noon.Add(500 * time.Millisecond), Begun: begun(controlplane.BegunCrash)}},
		"fourth restart": {restart, ended, instance{Status: controlplane.Deployed, Endpoint: "e", Generation: 4, Restarts: 3, Ends: ago(3)},
			instance{Status: controlplane.Resuming, Stage: controlplane.StageQueued, Generation: 5, Restarts: 4, Ends: append(ago(3), noon), RetryAfter: noon.Add(4 * time.Second), Begun: begun(controlplane.BegunCrash)}},
		"fifth end": {restart, ended, instance{Status: controlplane.Deployed, Endpoint: "e", Identity: "i", Generation: 5, Restarts: 4, Ends: ago(4)},
			instance{Status: controlplane.Failed, Reason: reason, Failures: 1, Generation: 5, Restarts: 5, Ends: append(ago(4), noon), RetryAfter: noon.Add(5 * time.Second)}},
		"resume": {resume, nil, instance{Status: controlplane.Failed, Reason: reason, Failures: 2, RetryAfter: noon, Generation: 2},
			instance{Status: controlplane.Resuming, Stage: controlplane.StageQueued, Failures: 2, Generation: 3, Begun: begun(controlplane.BegunFound)}},
		"ready elsewhere": {deployed, &launcher.Fact{State: launcher.Ready, Endpoint: "f", Identity: "j"},
			instance{Status: controlplane.Deployed, Endpoint: "e", Identity: "i", LastActive: noon.Add(-time.Hour)},
			instance{Status: controlplane.Deployed, Endpoint: "f", Identity: "j", LastActive: noon.Add(-time.Hour)}},
		"an end after a run that lasted": {restart, ended,
			instance{Status: controlplane.Deployed, Generation: 1, Failures: 3, Begun: readyFor(steadyAfter)},
			instance{Status: controlplane.Resuming, Stage: controlplane.StageQueued, Generation: 2, Restarts: 1, Ends: []time.Time{noon}, RetryAfter: noon.Add(500 * time.Millisecond), Begun: begun(controlplane.BegunCrash)}},
		"a fifth end after a run that did not last": {restart, ended,
			instance{Status: controlplane.Deployed, Generation: 5, Failures: 3, Restarts: 5, Ends: ago(5), Begun: readyFor(steadyAfter - 1)},
			instance{Status: controlplane.Failed, Reason: reason, Generation: 5, Failures: 4, Restarts: 6, Ends: append(ago(4), noon), RetryAfter: noon.Add(40 * time.Second), Begun: readyFor(steadyAfter - 1)}},
		"idle": {idle, nil,
			instance{Status: controlplane.Deployed, Endpoint: "e", LastActive: noon.Add(-time.Hour)},
			instance{Status: controlplane.Suspending, Endpoint: "e", LastActive: noon.Add(-time.Minute), ActiveBy: "stream", Sleep: &controlplane.Sleep{At: noon, Cause: controlplane.SleepIdle}}},
		"withdraw": {withdraw, nil,
			instance{Status: controlplane.Suspending, Endpoint: "e", Sleep: &controlplane.Sleep{Cause: controlplane.SleepIdle}},
			instance{Status: controlplane.Deployed, Endpoint: "e", LastActive: noon.Add(-time.Minute), ActiveBy: "stream"}},
		"stopping": {stopping, nil,
			instance{Status: controlplane.Suspending, Endpoint: "e", Identity: "i", Failures: 2, Begun: readyFor(steadyAfter), Sleep: &controlplane.Sleep{Cause: controlplane.SleepAsked, By: "ada"}},
			instance{Status: controlplane.Suspending, LastActive: noon.Add(-time.Minute), ActiveBy: "stream", Begun: readyFor(steadyAfter), Sleep: &controlplane.Sleep{Cause: controlplane.SleepAsked, By: "ada", Stopping: true}}},
		"suspend": {suspend, nil,
			instance{Status: controlplane.Suspending, Busy: &controlplane.Busy{}, Sleep: &controlplane.Sleep{Cause: controlplane.SleepAsked, Stopping: true}},
			instance{Status: controlplane.Suspended, Sleep: &controlplane.Sleep{Cause: controlplane.SleepAsked, Stopping: true}}},
		"stage": {setStage, &launcher.Fact{Stage: controlplane.StageImage}, instance{Status: controlplane.Pending, Stage: controlplane.StageQueued},
			instance{Status: controlplane.Pending, Stage: controlplane.StageImage}},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.before
			change(&got, view{fact: c.fact, now: noon, use: use{active: noon.Add(-time.Minute), cause: "stream"}}, c.action)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
