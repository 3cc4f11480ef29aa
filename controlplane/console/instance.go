package console

import (
	"net/http"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
)

// instanceView is the page of one instance, for whoever reads its log.
type instanceView struct {
	ID, Status string
	Facts      []field
}

// instance shows how an instance is, why, and its log. The log comes by the
// page's script from the API, where the right to it is looked at for as long as
// it is read.
func (s *console) instance(w http.ResponseWriter, r *http.Request, id string) {
	if !isID(id) {
		s.fail(w, r, noPage(s.Site.ConsoleURL()))
		return
	}
	actor, ok := s.visitor(w, r, "/instances/"+id)
	if !ok {
		return
	}
	in, why, err := s.Service.InstanceAndWhy(r.Context(), actor, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Security-Policy", policy(logHash)+"; connect-src 'self'")
	s.show(w, r, http.StatusOK, view{
		Actor: &actor, Title: in.AppName + " " + in.AppVersion,
		Instance: &instanceView{ID: in.ID, Status: string(in.Status), Facts: factsOf(in, &why)},
		Links:    []linkTo{{lifecycle.CanonicalURL(s.Site, in), "Open the app"}, {s.origin + "/", "All instances"}},
	})
}

func factsOf(in *controlplane.Instance, why *controlplane.Why) []field {
	facts := []field{{"Status", string(in.Status)}}
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, field{name, value})
		}
	}
	add("Stage", string(in.Stage))
	add("Because", controlplane.BecauseWords(why.Because))
	if in.Reason != nil {
		add("Reason", in.Reason.String())
	}
	add("Since", stamp(why.Since))
	if why.Begun != nil {
		add("Started by", controlplane.BegunWords(why.Begun.Cause))
	}
	add("Last used", stamp(why.ExtendedAt))
	add("Sleeps at", stamp(why.SleepsAt))
	add("A visit starts it again at", stamp(why.RetryAt))
	add("Owner", in.Owner)
	add("ID", in.ID)
	return facts
}

// stamp is a time for people; empty for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func noPage(console string) error {
	return controlplane.Errorf(controlplane.CodeNotFound, "there is no such page").WithHint("the console begins at %s", console)
}
