package console

import (
	"net/http"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

// device shows what a command line asks for, to whoever is signed in.
func (s *console) device(w http.ResponseWriter, r *http.Request) {
	code, next := controlplane.NormalUserCode(r.URL.Query().Get("code")), "/device"
	if code != "" {
		next += "?code=" + code[:min(len(code), 20)]
	}
	actor, ok := s.visitor(w, r, next)
	if !ok {
		return
	}
	if code == "" {
		s.show(w, r, http.StatusOK, view{
			Actor: &actor, Title: "Sign a command line in", Text: "Type the code that the command line shows.",
			Form: &form{Action: "/device", Get: true, Inputs: []input{{Name: "code", Label: "Code"}}, Buttons: []field{{"", "Continue"}}},
		})
		return
	}
	d, err := s.Service.Device(r.Context(), actor, code)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	facts := []field{
		{"Code", identity.ShownUserCode(d.UserCode)}, {"You", actor.User}, {"Name", d.Name}, {"Asked from", d.Address}, {"May", scopeWords(d.Scopes)},
	}
	s.show(w, r, http.StatusOK, view{
		Actor: &actor, Title: "Sign a command line in?",
		Text:  "Approve only if you have just run slipway login yourself and it shows this very code. Whoever sent you a link with a code may want to act as you.",
		Facts: facts,
		Form: &form{
			Action: "/device", Hidden: []field{{"code", d.UserCode}}, Buttons: []field{{"approve", "Approve"}, {"deny", "Deny"}},
		},
	})
}

func (s *console) decideDevice(w http.ResponseWriter, r *http.Request) {
	actor, ok := s.formActor(w, r)
	if !ok {
		return
	}
	approve := r.PostFormValue("do") == "approve"
	if err := s.Service.DecideDevice(r.Context(), actor, r.PostFormValue("code"), approve); err != nil {
		s.fail(w, r, err)
		return
	}
	v := view{Actor: &actor, Title: "Denied", Text: "The command line gets nothing."}
	if approve {
		v.Title, v.Text = "Approved", "The command line is signed in as "+actor.User+". You can close this page."
	}
	s.show(w, r, http.StatusOK, v)
}

func scopeWords(scopes []controlplane.Scope) string {
	words := map[controlplane.Scope]string{
		controlplane.ScopeRead: "read", controlplane.ScopeWrite: "change", controlplane.ScopeOpen: "open instances", controlplane.ScopeAdmin: "act as an admin, if you are one",
	}
	out := make([]string, len(scopes))
	for i, scope := range scopes {
		out[i] = words[scope]
	}
	return strings.Join(out, "; ")
}
