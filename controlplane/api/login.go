package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

// nobody marks operations that need no token.
var nobody = []map[string][]string{{}}

func (s *server) registerLogin(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "me", Method: http.MethodGet, Path: "/api/v1/me", Tags: []string{"identity"}, Summary: "Who the caller is",
	}, func(ctx context.Context, _ *struct{}) (*struct{ Body v1.Me }, error) {
		actor := actorOf(ctx)
		user, err := s.Service.Me(ctx, actor)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body v1.Me }{me(actor, user)}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "login-info", Method: http.MethodGet, Path: "/api/v1/login", Tags: []string{"identity"}, Security: nobody,
		Summary: "How one signs in here",
	}, func(context.Context, *struct{}) (*struct{ Body v1.LoginInfo }, error) {
		return &struct{ Body v1.LoginInfo }{v1.LoginInfo{Provider: optional(s.Service.Provider), ConsoleURL: s.Site.ConsoleURL()}}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "begin-device-login", Method: http.MethodPost, Path: "/api/v1/login/device", Tags: []string{"identity"}, Security: nobody,
		Summary: "Begin a sign-in that somebody approves in a browser (RFC 8628)",
	}, s.beginDevice)
	huma.Register(api, huma.Operation{
		OperationID: "take-device-token", Method: http.MethodPost, Path: "/api/v1/login/device/token", Tags: []string{"identity"}, Security: nobody,
		Summary:     "Ask for the token of such a sign-in",
		Description: "Until it is approved the answer is 400 with the code authorization_pending, slow_down, access_denied or expired_token.",
	}, s.takeDeviceToken)
	huma.Register(api, huma.Operation{
		OperationID: "create-login-link", Method: http.MethodPost, Path: "/api/v1/login/link", Tags: []string{"identity"}, DefaultStatus: http.StatusCreated,
		Summary: "Make a link that signs in at the console, once, in an installation without a provider",
	}, func(ctx context.Context, _ *struct{}) (*struct{ Body v1.LoginLink }, error) {
		secret := identity.NewLink()
		expires, err := s.Service.CreateLink(ctx, actorOf(ctx), identity.HashToken(secret))
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body v1.LoginLink }{v1.LoginLink{URL: s.Site.ConsoleURL() + "link?token=" + secret, ExpiresAt: expires}}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "logout", Method: http.MethodPost, Path: "/api/v1/logout", Tags: []string{"identity"}, DefaultStatus: http.StatusNoContent,
		Summary: "End the session or the token that the call is made with",
	}, func(ctx context.Context, in *struct{ Body logoutRequest }) (*struct{}, error) {
		actor := actorOf(ctx)
		if in.Body.Everywhere && !actor.May(controlplane.ScopeWrite) {
			return nil, s.fail(ctx, controlplane.LacksScope(controlplane.ScopeWrite).WithHint("without everywhere it ends itself"))
		}
		_, err := s.Service.SignOut(ctx, actor, in.Body.Everywhere)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return nil, nil
	})
}

type logoutRequest struct {
	Everywhere bool `json:"everywhere,omitempty" doc:"ends all sessions of the user, and what they have opened; other tokens stay"`
}

func me(a controlplane.Actor, user *controlplane.User) v1.Me {
	out := v1.Me{
		User: a.User, Email: a.Email, Admin: a.Admin, FullAccess: a.Full, Roles: texts(a.Roles), Scopes: scopeTexts(a.Scopes),
		InstanceID: optional(a.Instance), ExpiresAt: optional(a.Until),
	}
	if user != nil {
		out.DisplayName = user.DisplayName
	}
	return out
}

// texts is never null in JSON.
func texts(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func scopeTexts(scopes []controlplane.Scope) []string {
	var out []string
	for _, scope := range scopes {
		out = append(out, string(scope))
	}
	return out
}

// scopesFrom is nil for none given: an empty list is not that.
func scopesFrom(texts []string) []controlplane.Scope {
	if texts == nil {
		return nil
	}
	out := []controlplane.Scope{}
	for _, text := range texts {
		out = append(out, controlplane.Scope(text))
	}
	return out
}

func (s *server) beginDevice(ctx context.Context, in *struct{ Body v1.DeviceRequest }) (*struct{ Body v1.DeviceLogin }, error) {
	secret, code := identity.NewDeviceCode(), identity.NewUserCode()
	err := s.Service.BeginDevice(ctx, controlplane.NewDevice{
		Code: identity.HashToken(secret), UserCode: code, Name: in.Body.Name, Scopes: scopesFrom(in.Body.Scopes), Address: controlplane.ClientAddress(ctx),
	})
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	page, shown := s.Site.ConsoleURL()+"device", identity.ShownUserCode(code)
	return &struct{ Body v1.DeviceLogin }{v1.DeviceLogin{
		DeviceCode: secret, UserCode: shown, VerificationURI: page, VerificationURIComplete: page + "?code=" + shown,
		ExpiresIn: int(controlplane.DeviceLife.Seconds()), Interval: int(controlplane.DeviceInterval.Seconds()),
	}}, nil
}

func (s *server) takeDeviceToken(ctx context.Context, in *struct{ Body v1.DeviceTokenRequest }) (*struct{ Body v1.NewToken }, error) {
	secret := identity.NewToken()
	token, err := s.Service.TakeDeviceToken(ctx, identity.HashToken(in.Body.DeviceCode), controlplane.NewToken{
		ID: identity.NewID(), Hash: identity.HashToken(secret),
	})
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &struct{ Body v1.NewToken }{v1.NewToken{Token: tokenView(token, ""), Secret: secret}}, nil
}
