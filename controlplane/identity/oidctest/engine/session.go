package main

import (
	"crypto/rand"
	"maps"
	"slices"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/token/jwt"
)

// session is what fosite keeps with a code and with tokens.
type session struct {
	*openid.DefaultSession
	Login  string // ID of the login that they stand for
	access *jwt.JWTClaims
}

var (
	_ openid.Session             = (*session)(nil)
	_ oauth2.JWTSessionContainer = (*session)(nil)
	_ fosite.ExtraClaimsSession  = (*session)(nil)
)

func newSession() *session {
	return &session{DefaultSession: openid.NewDefaultSession(), access: &jwt.JWTClaims{}}
}

func (s *session) GetJWTClaims() jwt.JWTClaimsContainer { return s.access }
func (s *session) GetJWTHeader() *jwt.Headers           { return &jwt.Headers{} }
func (s *session) GetExtraClaims() map[string]any       { return s.access.Extra }

// Clone implements fosite.Session: a refresh must not change what earlier
// tokens say of themselves.
func (s *session) Clone() fosite.Session {
	access := *s.access
	return &session{DefaultSession: s.DefaultSession.Clone().(*openid.DefaultSession), Login: s.Login, access: &access}
}

// login finds the login of a session, and tells whether it is alive.
func (e *engine) login(s *session) (login, bool) {
	i := slices.IndexFunc(e.world.Sessions, func(l login) bool { return l.ID == s.Login })
	if i < 0 {
		return login{}, false
	}
	return e.world.Sessions[i], e.world.Sessions[i].Alive
}

// fill writes the claims of the tokens to come. auth_time stays.
func (s *session) fill(known login, scopes []string, rolesIn int) {
	s.Username, s.Subject = known.User.Username, known.User.Subject
	inID := known.claims(scopes, rolesIn&inIDToken != 0)
	inID["sid"] = known.ID
	// In place: fosite has taken the pointer.
	*s.Claims = jwt.IDTokenClaims{
		Subject: known.User.Subject, AuthTime: s.Claims.AuthTime, RequestedAt: s.Claims.RequestedAt,
		AuthenticationMethodsReferences: []string{"pwd"}, Extra: inID,
	}
	inAccess := known.claims(scopes, rolesIn&inAccessToken != 0)
	inAccess["sid"] = known.ID
	*s.access = jwt.JWTClaims{Subject: known.User.Subject, JTI: rand.Text(), IssuedAt: time.Now().UTC(), Extra: inAccess}
}

// claims are what a token or answer says of a user, besides sub.
func (l login) claims(scopes []string, roles bool) map[string]any {
	u := l.User
	claims := map[string]any{}
	if slices.Contains(scopes, "profile") {
		claims["preferred_username"] = u.Username
		if u.Name != "" {
			claims["name"] = u.Name
		}
	}
	if slices.Contains(scopes, "email") && u.Email != "" {
		claims["email"], claims["email_verified"] = u.Email, u.EmailVerified
	}
	if roles {
		claims["realm_access"] = map[string]any{"roles": append([]string{}, u.Roles...)}
		claims["groups"] = append([]string{}, u.Groups...)
	}
	maps.Copy(claims, u.Claims)
	return claims
}
