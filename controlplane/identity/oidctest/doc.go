// Package oidctest gives tests a real OpenID provider on a port of its own on
// loopback. Codes, PKCE, tokens, their rotation and revocation are made and
// checked by github.com/ory/fosite, the library of Ory Hydra, in a process
// beside the test (engine/); users, sessions, pages and faults are here, in the
// test's own. Nothing but Go is needed. Only tests import it.
//
//	p := oidctest.Start(t, oidctest.Config{Client: oidctest.Client{RedirectURIs: []string{callback}}})
//	p.AddUser(oidctest.User{Username: "ada", Email: "ada@example.com", Roles: []string{"admin"}})
//	back := p.SignIn(t, browser, authURL, "ada") // back is the callback's address, with code and state
//
// What it does: discovery, the authorization code flow with PKCE S256 (which
// it demands), nonce, state, prompt none and login, max_age, id_token_hint,
// login_hint, single sign-on by a cookie, refresh tokens that rotate, userinfo,
// revocation, introspection, logout by the client, and Back-Channel Logout 1.0.
// Who may sign in needs no password: a name is enough.
//
// An ID token's sid is that of the browser's session. A session ends by
// [Provider.EndSession] or the end_session endpoint, and all its refresh and
// access tokens end with it, those of the scope offline_access too. Access
// tokens are JWTs: one who only checks their signature does not see that end.
//
// A code whose verifier was wrong is used up; a revoked access token takes the
// refresh token along; a request without a state is refused (invalid_state);
// PKCE is looked at when the user has signed in.
//
// What it does wrong on demand is in faults.go: a provider that is down, slow,
// ahead of time, has new keys, or sends tokens that nobody may take.
package oidctest
