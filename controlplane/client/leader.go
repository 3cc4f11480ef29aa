package client

import (
	"context"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// Leader is the control plane that leads, for admins.
func (c *Client) Leader(ctx context.Context) (*v1.Leader, error) {
	return get[v1.Leader](ctx, c, nil, "leader")
}
