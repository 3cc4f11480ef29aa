package caddymodule

import (
	"bufio"
	"encoding/json"
	"net/http"

	"github.com/seed-dbc68772/slipway/routing"
)

// route is one route as the admin interface shows it: an instance's or an
// alias's.
type route struct {
	Instance *instanceRoute `json:"instance,omitempty"`
	Alias    *aliasRoute    `json:"alias,omitempty"`
}

type instanceRoute struct {
	ID         string             `json:"id"`
	App        string             `json:"app"`
	Mode       routing.Mode       `json:"mode"`
	Status     routing.Status     `json:"status"`
	Endpoint   string             `json:"endpoint,omitempty"`
	Generation int64              `json:"generation"`
	Primary    string             `json:"primary_alias,omitempty"`
	Visibility routing.Visibility `json:"visibility"`
	Owner      string             `json:"owner"`
	Wake       routing.WakePolicy `json:"wake"`
}

type aliasRoute struct {
	Name     string  `json:"name"`
	Instance *string `json:"instance_id"` // null when unassigned
}

func instanceRouteOf(in *routing.Instance) route {
	shown := &instanceRoute{
		ID: in.ID.String(), App: in.App, Mode: in.Mode, Status: in.Status, Generation: in.Generation, Primary: in.Primary,
		Visibility: in.Visibility, Owner: in.Owner, Wake: in.Wake,
	}
	if !in.Endpoint.IsZero() {
		shown.Endpoint = in.Endpoint.String()
	}
	return route{Instance: shown}
}

func aliasRouteOf(a *routing.Alias) route {
	shown := &aliasRoute{Name: a.Name}
	if a.Assigned {
		id := a.Instance.String()
		shown.Instance = &id
	}
	return route{Alias: shown}
}

// appendRoutes appends those that are there.
func appendRoutes(routes []route, a *routing.Alias, in *routing.Instance) []route {
	if a != nil {
		routes = append(routes, aliasRouteOf(a))
	}
	if in != nil {
		routes = append(routes, instanceRouteOf(in))
	}
	return routes
}

// routesOf finds an instance and its aliases.
func (s *routesState) routesOf(table *routing.Table, id routing.ID) {
	s.Routes = appendRoutes([]route{}, nil, table.Instance(id))
	for a := range table.AllAliases() {
		if !a.Assigned || a.Instance != id {
			continue
		}
		if len(s.Routes) == maxRoutes {
			s.More = true
			return
		}
		s.Routes = append(s.Routes, aliasRouteOf(a))
	}
}

// listRoutes writes routes as they are found, one a line. The table does not
// change meanwhile, and no more than a line of it is in memory twice.
func listRoutes(w http.ResponseWriter, table *routing.Table, kind string) error {
	w.Header().Set("Content-Type", "application/x-ndjson")
	buffer := bufio.NewWriterSize(w, 32<<10)
	lines := json.NewEncoder(buffer)
	if kind != "aliases" {
		for in := range table.AllInstances() {
			if lines.Encode(instanceRouteOf(in)) != nil {
				return nil // whoever asked has left
			}
		}
	}
	if kind != "instances" {
		for a := range table.AllAliases() {
			if lines.Encode(aliasRouteOf(a)) != nil {
				return nil
			}
		}
	}
	_ = buffer.Flush() // whoever asked may have left
	return nil
}
