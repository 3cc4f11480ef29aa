package console

import (
	"net/http"
	"strconv"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

// tokens lists the personal tokens of whoever is signed in.
func (s *console) tokens(w http.ResponseWriter, r *http.Request) {
	actor, ok := s.visitor(w, r, "/tokens")
	if !ok {
		return
	}
	s.showTokens(w, r, &actor, "")
}

// showTokens shows a new token's secret, if there is one: the only time.
func (s *console) showTokens(w http.ResponseWriter, r *http.Request, actor *controlplane.Actor, secret string) {
	tokens, err := s.Service.Tokens(r.Context(), *actor, controlplane.Page{})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := view{Actor: actor, Title: "Your tokens", Tokens: &tokenList{Scopes: controlplane.Scopes}}
	if secret != "" {
		v.Text, v.Code = "This is the new token. It is shown this once.", secret
	}
	for _, t := range tokens.Items {
		expires := "never"
		if !t.ExpiresAt.IsZero() {
			expires = t.ExpiresAt.UTC().Format("2006-01-02 15:04 UTC")
		}
		v.Tokens.Items = append(v.Tokens.Items, tokenRow{ID: t.ID, Name: t.Name, Scopes: scopeWords(t.Scopes), Expires: expires})
	}
	s.show(w, r, http.StatusOK, v)
}

func (s *console) changeTokens(w http.ResponseWriter, r *http.Request) {
	actor, ok := s.formActor(w, r)
	if !ok {
		return
	}
	if id := r.PostFormValue("revoke"); id != "" {
		if err := s.Service.RevokeToken(r.Context(), actor, id); err != nil {
			s.fail(w, r, err)
			return
		}
		s.showTokens(w, r, &actor, "")
		return
	}
	secret := identity.NewToken()
	n := controlplane.NewToken{ID: identity.NewID(), Hash: identity.HashToken(secret), Name: r.PostFormValue("name")}
	for _, scope := range r.PostForm["scope"] {
		n.Scopes = append(n.Scopes, controlplane.Scope(scope))
	}
	if text := r.PostFormValue("days"); text != "" {
		days, err := strconv.Atoi(text)
		if err != nil || days < 1 || days > int(controlplane.MaxTokenLife/(24*time.Hour)) {
			s.fail(w, r, controlplane.Errorf(controlplane.CodeInvalid, "a token lives for 1 to 365 days"))
			return
		}
		n.Life = time.Duration(days) * 24 * time.Hour
	}
	if _, err := s.Service.CreateToken(r.Context(), actor, n); err != nil {
		s.fail(w, r, err)
		return
	}
	s.showTokens(w, r, &actor, secret)
}
