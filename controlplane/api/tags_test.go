package api_test

import (
	"slices"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

func TestATagIsMadeACategory(t *testing.T) {
	h := newHouse(t)
	made := decode[v1.Tag](h, h.call("POST", "/api/v1/tags", h.admin, `{"name":"FINSERV","description":"Banks and insurers","is_category":true,"visitor_roles":["team"]}`), 201)
	if !made.IsCategory || made.Description != "Banks and insurers" || !slices.Equal(made.Kinds, []string{"category", "authorization"}) {
		t.Errorf("made %+v", made)
	}
	badge := decode[v1.Tag](h, h.call("POST", "/api/v1/tags", h.admin, `{"name":"beta"}`), 201)
	if badge.IsCategory || !slices.Equal(badge.Kinds, []string{"badge"}) {
		t.Errorf("a badge is %+v", badge)
	}
	path := "/api/v1/apps/" + h.app
	shown := func(when string, want ...string) {
		t.Helper()
		list := decode[v1.List[v1.App]](h, h.call("GET", "/api/v1/apps", h.user, ""), 200)
		one := decode[v1.App](h, h.call("GET", path, h.user, ""), 200)
		if !slices.Equal(one.Categories, want) || !slices.Equal(list.Items[0].Categories, want) {
			t.Errorf("%s: categories %v, in the list %v, want %v", when, one.Categories, list.Items[0].Categories, want)
		}
		found := decode[v1.List[v1.App]](h, h.call("GET", "/api/v1/apps?category=finserv", h.user, ""), 200)
		if len(found.Items) != len(want) {
			t.Errorf("%s: %d apps of the category, want %d", when, len(found.Items), len(want))
		}
	}
	shown("without it")
	app := decode[v1.App](h, h.call("PATCH", path, h.admin, `{"tags":["FINSERV","beta"]}`), 200)
	if !slices.Equal(app.Categories, []string{"FINSERV"}) {
		t.Errorf("after the change: %v", app.Categories)
	}
	shown("with it", "FINSERV")

	changed := decode[v1.Tag](h, h.call("PATCH", "/api/v1/tags/FINSERV", h.admin, `{"is_category":false,"description":""}`), 200)
	if changed.IsCategory || changed.Description != "" || !slices.Equal(changed.Kinds, []string{"authorization"}) {
		t.Errorf("changed %+v", changed)
	}
	for _, tag := range decode[v1.List[v1.Tag]](h, h.call("GET", "/api/v1/tags", h.user, ""), 200).Items {
		if want := map[string]string{"FINSERV": "authorization", "beta": "badge"}[tag.Name]; strings.Join(tag.Kinds, " ") != want || tag.IsCategory {
			t.Errorf("listed %+v, want %s", tag, want)
		}
	}
	shown("when it is none any more")
}

func TestADescriptionOfATag(t *testing.T) {
	h := newHouse(t)
	for name, c := range map[string]struct {
		tag    string
		is     string
		status int
	}{
		"of 300 bytes":              {"bytes", strings.Repeat("x", 300), 201},
		"of 301":                    {"more", strings.Repeat("x", 301), 422},
		"of 300 letters, 600 bytes": {"letters", strings.Repeat("ä", 300), 422},
		"of two lines":              {"lines", `a\nb`, 422},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.call("POST", "/api/v1/tags", h.admin, `{"name":"`+c.tag+`","description":"`+c.is+`"}`)
			if a.StatusCode != c.status {
				t.Errorf("status %d, want %d: %s", a.StatusCode, c.status, a.body)
			}
			if c.status == 422 && !strings.Contains(a.body, "description") {
				t.Errorf("it does not say what is wrong: %s", a.body)
			}
		})
	}
}
