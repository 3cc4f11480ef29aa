package console

import (
	"net/http"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
)

// shown is how many instances and apps the list holds.
const shown = 1000

type (
	row struct {
		URL, Title, Status, ID, Mode, Owner, Reason string

		Log bool // whoever looks reads its log
	}
	listing struct {
		Instances []row
		Apps      []*controlplane.App
		More      bool
	}
)

// list shows what the visitor may see: nobody else's, and to somebody who is
// not signed in the way in.
func (s *console) list(w http.ResponseWriter, r *http.Request) {
	actor, err := s.actor(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	ctx, page := r.Context(), controlplane.Page{Limit: shown}
	v := view{Title: "Your installation", List: &listing{}}
	if actor.User == "" {
		v.Title, v.Text, v.Links = "Welcome", "You are not signed in.", []linkTo{{s.origin + "/login", "Sign in"}}
		public := controlplane.Resource{Visibility: controlplane.Public}
		if s.Service.Access.Decide(&actor, controlplane.SeeApp, &public) != controlplane.Allowed {
			s.show(w, r, http.StatusOK, v)
			return
		}
	} else {
		v.Actor = &actor
		instances, err := s.Service.Instances(ctx, actor, page)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		for _, in := range instances.Items {
			v.List.Instances = append(v.List.Instances, s.row(&actor, in))
		}
		v.List.More = instances.NextAfter != ""
	}
	apps, err := s.Service.Apps(ctx, actor, page)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v.List.Apps, v.List.More = apps.Items, v.List.More || apps.NextAfter != ""
	s.show(w, r, http.StatusOK, v)
}

func (s *console) row(actor *controlplane.Actor, in *controlplane.Instance) row {
	out := row{
		URL: lifecycle.CanonicalURL(s.Site, in), Title: in.AppName + " " + in.AppVersion,
		Status: string(in.Status), ID: in.ID, Mode: string(in.RoutingMode), Owner: in.Owner,
		Log: s.Service.Access.Decide(actor, controlplane.ReadLogs, controlplane.ResourceOfInstance(in, nil, nil)) == controlplane.Allowed,
	}
	if in.Reason != nil {
		out.Reason = in.Reason.String()
	}
	return out
}
