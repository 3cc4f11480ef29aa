package api

import "github.com/seed-dbc68772/slipway/controlplane"

// AppQuery picks apps from a list; see ByID.
type AppQuery struct {
	Name       string `query:"name" doc:"App.Name, in any case" maxLength:"63"`
	Owner      string `query:"owner" doc:"who imported it" maxLength:"256"`
	Mine       bool   `query:"mine" doc:"the caller's own"`
	Tag        string `query:"tag" maxLength:"63"`
	Category   string `query:"category" doc:"a tag that is a category, or the older App.Category" maxLength:"63"`
	Visibility string `query:"visibility" doc:"PRIVATE, ALL_USERS or PUBLIC"`
	Search     string `query:"q" doc:"words, each in name, title, description, keywords or tags" maxLength:"256"`
	Runnable   string `query:"runnable" enum:"true,false" doc:"whether an instance could be started now"`
}

func (q AppQuery) filter() controlplane.AppFilter {
	f := controlplane.AppFilter{
		Name: q.Name, Owner: q.Owner, Mine: q.Mine, Tag: q.Tag, Category: q.Category,
		Visibility: controlplane.Visibility(q.Visibility), Search: q.Search,
	}
	if q.Runnable != "" {
		f.Runnable = new(q.Runnable == "true")
	}
	return f
}

// InstanceQuery picks instances from a list; see ByID.
type InstanceQuery struct {
	App        string `query:"app" doc:"the app's ID or at least the first 6 characters of it, or its name" maxLength:"63"`
	Owner      string `query:"owner" doc:"who started it" maxLength:"256"`
	Mine       bool   `query:"mine" doc:"the caller's own"`
	Status     string `query:"status" doc:"such as DEPLOYED"`
	Visibility string `query:"visibility" doc:"PRIVATE, ALL_USERS or PUBLIC"`
}

func (q InstanceQuery) filter() controlplane.InstanceFilter {
	return controlplane.InstanceFilter{
		App: q.App, Owner: q.Owner, Mine: q.Mine, Status: controlplane.Status(q.Status), Visibility: controlplane.Visibility(q.Visibility),
	}
}
