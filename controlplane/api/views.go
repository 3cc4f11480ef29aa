package api

import (
	"cmp"
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
)

func (s *server) app(ctx context.Context, a *controlplane.App) (v1.App, error) {
	reasons, err := s.Service.ReasonsFor(ctx, actorOf(ctx), a)
	if err != nil {
		return v1.App{}, err
	}
	categories, err := s.Service.Categories(ctx, a)
	if err != nil {
		return v1.App{}, err
	}
	return s.appView(a, reasons[0], categories[0]), nil
}

func (s *server) apps(ctx context.Context, list controlplane.List[*controlplane.App]) (out v1.List[v1.App], err error) {
	reasons, err := s.Service.ReasonsFor(ctx, actorOf(ctx), list.Items...)
	if err != nil {
		return out, err
	}
	categories, err := s.Service.Categories(ctx, list.Items...)
	if err != nil {
		return out, err
	}
	next := 0
	return listOf(list, func(a *controlplane.App) v1.App {
		next++
		return s.appView(a, reasons[next-1], categories[next-1])
	}), nil
}

func (s *server) appView(a *controlplane.App, reasons []controlplane.Reason, categories []string) v1.App {
	out := v1.App{
		ID: a.ID, Name: a.Name, Version: a.Version, Title: a.Title, Description: a.Description,
		Owner: a.Owner, Visibility: string(a.Visibility), Tags: a.Tags, Categories: categories, Lifecycle: string(a.Lifecycle),
		RoutingMode: string(a.RoutingMode), AppMode: string(a.AppMode), Reasons: []v1.Reason{},
		CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt, Link: optional(a.Link),
		RuntimeVersion: optional(a.RuntimeVersion), LaunchProfile: optional(a.LaunchProfile), Image: optional(a.Manifest.Runtime.CustomImage),
		Category: optional(a.Manifest.Category),
	}
	for _, r := range reasons {
		out.Reasons = append(out.Reasons, reason(r))
	}
	out.Runnable = len(out.Reasons) == 0 && a.Lifecycle != controlplane.Link
	return out
}

func (s *server) instance(actor controlplane.Actor, in *controlplane.Instance) v1.Instance {
	out := v1.Instance{
		ID: in.ID, AppID: in.AppID, AppName: in.AppName, AppVersion: in.AppVersion, Owner: in.Owner,
		Visibility: string(in.Visibility), Status: string(in.Status), Stage: optional(string(in.Stage)),
		URL: lifecycle.CanonicalURL(s.Site, in), RoutingMode: string(in.RoutingMode),
		PrimaryAlias: optional(in.PrimaryAlias), Launcher: in.Launcher, LaunchProfile: optional(in.LaunchProfile), LastActive: optional(in.LastActive),
		Wake: string(cmp.Or(in.Wake, controlplane.WakeVisitors)), Restarts: in.Restarts, Readonly: !actor.Admin && actor.User != in.Owner,
		Suspendable: in.Status.Live(), CreatedAt: in.CreatedAt, UpdatedAt: in.UpdatedAt,
	}
	if in.Reason != nil {
		r := reason(*in.Reason)
		out.Reason = &r
	}
	if in.Resources != nil {
		resources := v1.Resources(*in.Resources)
		out.Resources = &resources
	}
	if in.Status == controlplane.Deployed || in.Status == controlplane.Unknown {
		at, because := in.SuspendAfter(s.Service.Sleep)
		out.SuspendAfter, out.AwakeBecause = optional(at), optional(because)
	}
	return out
}

func (s *server) alias(a *controlplane.AliasState) v1.Alias {
	state := "inactive"
	if a.Active {
		state = "active"
	}
	return v1.Alias{
		ID: a.ID, Name: a.Name, InstanceID: optional(a.InstanceID), Primary: a.Primary, URL: s.Site.AliasURL(a.Name),
		State: state, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt, Warnings: a.Warnings,
	}
}

func reason(r controlplane.Reason) v1.Reason { return v1.Reason{Code: string(r.Code), Text: r.Text} }

// optional is nil for the zero value: null in JSON.
func optional[T string | time.Time](v T) *T {
	var zero T
	if any(v) == any(zero) {
		return nil
	}
	return &v
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// PageQuery is the query of every list; see ByID.
type PageQuery struct {
	Limit  int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"items in a page"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

// page reads the query. A cursor carries the revision that the list is read
// at and the key to go on after.
func (q PageQuery) page() (controlplane.Page, error) {
	p := controlplane.Page{Limit: q.Limit}
	if q.Cursor == "" {
		return p, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	revision, after, found := strings.Cut(string(raw), " ")
	if err == nil && found {
		p.Revision, err = strconv.ParseInt(revision, 10, 64)
	}
	if err != nil || !found || p.Revision <= 0 {
		return p, controlplane.Errorf(controlplane.CodeInvalid, "cursor %q was not given out by this API", q.Cursor).
			WithHint("list from the beginning and use next_cursor as it is")
	}
	p.After = after
	return p, nil
}

func listOf[T, V any](list controlplane.List[T], view func(T) V) v1.List[V] {
	out := v1.List[V]{Items: make([]V, len(list.Items)), Revision: strconv.FormatInt(list.Revision, 10)}
	for i, item := range list.Items {
		out.Items[i] = view(item)
	}
	if list.NextAfter != "" {
		cursor := base64.RawURLEncoding.EncodeToString([]byte(out.Revision + " " + list.NextAfter))
		out.NextCursor = &cursor
	}
	return out
}
