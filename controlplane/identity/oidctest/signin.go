package oidctest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// SignIn does what a person and a browser do with an address that leads to the
// provider, directly or through a client's redirects: it follows them, signs
// in where the form is shown, and returns the callback's address as the
// provider gives it, with code and state or with an error. That address is not
// fetched. The client's jar holds the session; without a jar nothing lasts.
func (p *Provider) SignIn(t testing.TB, client *http.Client, address, username string) *url.URL {
	t.Helper()
	callback, err := p.TrySignIn(client, address, username)
	if err != nil {
		t.Fatalf("sign %s in: %v", username, err)
	}
	return callback
}

// TrySignIn is SignIn for sign-ins that may fail: it returns an error if the
// provider shows a page other than the form, or refuses the user.
func (p *Provider) TrySignIn(client *http.Client, address, username string) (*url.URL, error) {
	browser := *client
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	at, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("read address: %w", err)
	}
	var (
		form   url.Values // to send to at; nil to fetch it
		wanted *url.URL   // the redirect URI of the request
	)
	for range 20 {
		if at.Host == p.address && at.Path == authorizePath {
			if wanted, err = url.Parse(at.Query().Get("redirect_uri")); err != nil {
				return nil, fmt.Errorf("read redirect URI: %w", err)
			}
		}
		status, next, body, err := visit(&browser, at, form)
		switch {
		case err != nil:
			return nil, err
		case next != nil && wanted != nil && next.Scheme == wanted.Scheme && next.Host == wanted.Host && next.Path == wanted.Path:
			return next, nil
		case next != nil:
			at, form = next, nil
		case form == nil && status == http.StatusOK && at.Host == p.address && at.Path == loginPath:
			form = url.Values{"username": {username}}
		default:
			return nil, fmt.Errorf("%s answered %d: %s", at, status, strings.TrimSpace(body))
		}
	}
	return nil, errors.New("the redirects have no end")
}

// visit fetches a page, or sends a form to it, and says where that leads.
func visit(browser *http.Client, at *url.URL, form url.Values) (status int, next *url.URL, body string, err error) {
	var resp *http.Response
	if form != nil {
		resp, err = browser.PostForm(at.String(), form)
	} else {
		resp, err = browser.Get(at.String())
	}
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return 0, nil, "", fmt.Errorf("read page: %w", err)
	}
	next, err = resp.Location()
	if errors.Is(err, http.ErrNoLocation) {
		err = nil
	}
	return resp.StatusCode, next, string(text), err
}
