package cli

import (
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// guideData is what the fake has beside where a script is about a guide: the
// apps and instances that the guide's blocks show, under the same IDs.
type guideData struct {
	appID, instanceID string // of the next ones
	owner, domain     string
	log               string
}

// guideTime is when the guides' app was imported.
var guideTime = time.Date(2020, time.October, 13, 6, 28, 3, 50226000, time.UTC)

// asInGuide lets the fake hold what the guides show. IDs of the App Store's
// guide have a digit too many, and it has room for it; in the one of Q8s the
// columns do not fit them, and there it has one less.
func (f *fakeAPI) asInGuide(name, log string) {
	f.guide = &guideData{appID: "bcd543210-1111-1111-1111-0123456789ab", instanceID: "22222222-3333-4444-5555-666666666666", owner: "user1@h2o.ai", domain: "wave.h2o.ai", log: log}
	f.apps, f.instances = nil, nil
	title := ""
	first, second, logged := "abc543210-0000-0000-0000-1234567890ab", f.guide.appID, "c22222222-3333-4444-5555-666666666666"
	if name == "q8s" {
		f.guide.domain, title = "q8s.h2o.ai", "Q "
		first, second, logged = "abc54321-0000-0000-0000-1234567890ab", "bcd54321-1111-1111-1111-0123456789ab", "c2222222-3333-4444-5555-666666666666"
	}
	day := 24 * time.Hour
	for _, a := range []v1.App{
		{ID: first, Name: "ai.h2o.peak", Version: "0.1.1", Title: title + "Peak", Owner: "user1@h2o.ai", Category: new("Healthcare"), Tags: []string{"HEALTHCARE", "Beta"}, CreatedAt: guideTime.Add(-18 * day), UpdatedAt: guideTime.Add(-18 * day)},
		{ID: second, Name: "ai.h2o.tour", Version: "0.0.15-20200922162859", Title: title + "Tour", Owner: "user2@h2o.ai", Category: new("Other"), Tags: []string{}, CreatedAt: guideTime.Add(-20 * day), UpdatedAt: guideTime.Add(-20 * day)},
	} {
		a.Visibility, a.Runnable = "ALL_USERS", true
		f.apps = append(f.apps, &a)
	}
	f.addInstance(f.apps[0], "PRIVATE").ID = logged
	const paused = "2efe9ed7-2bdd-4d02-9be6-f73a196d663d"
	in := f.addInstance(f.apps[0], "ALL_USERS")
	in.ID, in.AppID, in.Owner, in.URL = paused, "492dbac1-3230-413e-852f-11cb82b57436", "oshini.nugapitiya@h2o.ai", "https://"+paused+".cloud.h2o.ai/"
	in.CreatedAt, in.Status, in.Stage = time.Date(2022, time.September, 16, 8, 28, 4, 0, time.UTC), "DEPLOYED", nil
}

func (g *guideData) made(a *v1.App) {
	a.ID, a.Owner, a.CreatedAt, a.UpdatedAt = g.appID, g.owner, guideTime, guideTime
}

func (g *guideData) started(in *v1.Instance) {
	in.ID, in.URL = g.instanceID, "https://"+g.instanceID+"."+g.domain+"/"
}

// changed gives an instance the times of the guide.
func (g *guideData) changed(in *v1.Instance) {
	in.UpdatedAt, in.SuspendAfter = time.Date(2022, time.December, 12, 9, 3, 23, 0, time.UTC), nil
	if in.Status == "RESUMING" {
		in.UpdatedAt, in.SuspendAfter = time.Date(2022, time.December, 12, 8, 56, 32, 0, time.UTC), new(time.Date(2022, time.December, 12, 16, 56, 31, 0, time.UTC))
	}
}
