package caddymodule

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

// ControlPlaneModule is a guest module that runs the control plane in the
// edge's process. Its ID is slipway.control_plane.
type ControlPlaneModule interface {
	// CheckSettings finds what is wrong with the settings of a control plane. It
	// opens nothing.
	CheckSettings(s Settings) error
	StartControlPlane(ctx context.Context, d ControlPlaneDeps) (ControlPlane, error)
}

// ControlPlaneDeps is what the edge lends to the control plane.
type ControlPlaneDeps struct {
	Store *etcdstore.Store
	// Name is this edge's and control plane's, Address where it answers other
	// edges; empty: nowhere.
	Name, Address string
	Site          *routing.Site
	// Explain tells what this edge would do with a request.
	Explain  func(controlplane.ExplainRequest) (*controlplane.Explanation, error)
	Settings Settings
	// Changes is what this edge learnt of the routes, and when.
	Changes *controlplane.Changes
	Log     *zap.Logger
}

// ControlPlane is a running control plane. Its handlers are nil until it has read
// what it needs from the store.
type ControlPlane interface {
	prometheus.Collector   // of slipway_controlplane_*
	API() http.Handler     // below /api/
	Console() http.Handler // the console's host
	Close() error          // returns when it has ended
}
