package api

import (
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

func (s *server) registerTickets(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "create-ticket", Method: http.MethodPost, Path: "/api/v1/instances/{id}/ticket", Tags: []string{"instances"},
		Summary: "Get a bearer for one instance, for API clients", DefaultStatus: http.StatusCreated,
	}, func(ctx context.Context, in *ByID) (*struct{ Body v1.Ticket }, error) {
		pass, err := s.Service.BearerPass(ctx, actorOf(ctx), in.ID)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body v1.Ticket }{v1.Ticket{Token: pass.Pass, ExpiresAt: pass.ExpiresAt}}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "trade-ticket", Method: http.MethodPost, Path: "/api/v1/edge/ticket", Tags: []string{"edges"}, Security: nobody,
		Summary: "For edges: trade a browser's one-time ticket for the content of its cookie",
	}, func(ctx context.Context, in *struct{ Body v1.TicketTrade }) (*struct{ Body v1.Pass }, error) {
		pass, err := s.Service.TradeTicket(ctx, controlplane.TradeRequest{
			Ticket: identity.HashToken(in.Body.Ticket), Nonce: identity.HashToken(in.Body.Nonce), Instance: in.Body.Instance, Host: hostName(in.Body.Host),
		})
		return s.pass(ctx, pass, err)
	})
	huma.Register(api, huma.Operation{
		OperationID: "renew-pass", Method: http.MethodPost, Path: "/api/v1/edge/renew", Tags: []string{"edges"}, Security: nobody,
		Summary: "For edges: get a newer content of a browser's cookie, with the rights of now",
	}, func(ctx context.Context, in *struct{ Body v1.PassRenewal }) (*struct{ Body v1.Pass }, error) {
		pass, err := s.Service.RenewPass(ctx, in.Body.Pass)
		return s.pass(ctx, pass, err)
	})
	huma.Register(api, huma.Operation{
		OperationID: "app-icon", Method: http.MethodPost, Path: "/api/v1/edge/icon", Tags: []string{"edges"}, Security: nobody,
		Summary: "For edges: get the icon of an app, by its digest, which whoever has seen the icon can know",
	}, func(ctx context.Context, in *struct{ Body v1.IconRequest }) (*struct{ Body v1.Icon }, error) {
		icon, err := s.Service.AppIcon(ctx, in.Body.App, in.Body.Digest)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body v1.Icon }{v1.Icon{PNG: icon}}, nil
	})
}

func (s *server) pass(ctx context.Context, pass controlplane.Issued, err error) (*struct{ Body v1.Pass }, error) {
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &struct{ Body v1.Pass }{v1.Pass{Pass: pass.Pass, ExpiresAt: pass.ExpiresAt}}, nil
}

// hostName is a Host without its port, in lower case.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(host)
}
