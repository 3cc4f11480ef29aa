package client

import (
	"context"
	"net/http"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// LoginInfo tells how one signs in there. It needs no token.
func (c *Client) LoginInfo(ctx context.Context) (*v1.LoginInfo, error) {
	return get[v1.LoginInfo](ctx, c, nil, "login")
}

// BeginLogin begins the sign-in of a program that has no browser: somebody
// approves it in one, anywhere. It needs no token.
func (c *Client) BeginLogin(ctx context.Context, r v1.DeviceRequest) (*v1.DeviceLogin, error) {
	return send[v1.DeviceLogin](ctx, c, call{method: http.MethodPost, path: []string{"login", "device"}, body: r})
}

// The codes of LoginToken's errors (RFC 8628 §3.5).
const (
	LoginPending  = "authorization_pending" // ask again after the interval
	LoginSlowDown = "slow_down"             // the same, and the interval grows by 5 s
	LoginDenied   = "access_denied"
	LoginExpired  = "expired_token"
)

// LoginToken is the token of a sign-in, once it is approved. Until then the
// error has one of the codes above.
func (c *Client) LoginToken(ctx context.Context, deviceCode string) (*v1.NewToken, error) {
	return send[v1.NewToken](ctx, c, call{
		method: http.MethodPost, path: []string{"login", "device", "token"}, body: v1.DeviceTokenRequest{DeviceCode: deviceCode},
	})
}

// LoginLink makes a link that signs in at the console, once: for admins, where
// there is no provider.
func (c *Client) LoginLink(ctx context.Context) (*v1.LoginLink, error) {
	return send[v1.LoginLink](ctx, c, call{method: http.MethodPost, path: []string{"login", "link"}})
}

// Logout ends the client's own token, and with everywhere all sessions of its
// user too.
func (c *Client) Logout(ctx context.Context, everywhere bool) error {
	body := struct {
		Everywhere bool `json:"everywhere"`
	}{everywhere}
	return c.do(ctx, call{method: http.MethodPost, path: []string{"logout"}, body: body}, nil)
}
