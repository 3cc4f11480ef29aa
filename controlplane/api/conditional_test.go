package api_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

func TestIfMatch(t *testing.T) {
	h := newHouse(t)
	path := "/api/v1/apps/" + h.app
	tag := h.call("GET", path, h.user, "").Header.Get("ETag")
	for name, c := range map[string]struct {
		match  string
		status int
		code   string
	}{
		"another revision":      {`"1"`, 412, "precondition_failed"},
		"a weak tag":            {"W/" + tag, 412, "precondition_failed"},
		"a tag of nobody":       {`"x"`, 412, "precondition_failed"},
		"no tag at all":         {"", 412, "precondition_failed"},
		"what is no entity tag": {"918", 422, "invalid"},
		"a list with it":        {`"1", ` + tag, 200, ""},
		"it":                    {tag, 200, ""},
		"anything":              {"*", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := *h
			s.TB = t
			a := s.call("PATCH", path, h.user, `{"visibility":"PRIVATE"}`, "If-Match: "+c.match)
			if c.status != 200 {
				if p := s.problem(a, c.status); p.Code != c.code || c.status == 412 && p.Hint == "" {
					t.Errorf("%+v", p)
				}
				return
			}
			decode[v1.App](&s, a, 200)
		})
	}
	// A change that could not be conditional is not made as if it were none.
	p := h.problem(h.call("POST", "/api/v1/instances", h.user, `{"app_id":"`+h.app+`"}`, `If-Match: "1"`), 422)
	if p.Code != "invalid" {
		t.Errorf("%+v", p)
	}
	// What is read is read.
	decode[v1.App](h, h.call("GET", path, h.user, "", `If-Match: "1"`), 200)
	// Who changes it first makes the other's tag old.
	decode[v1.App](h, h.call("PATCH", path, h.user, `{"visibility":"PUBLIC"}`, "If-Match: "+tag), 200)
	h.problem(h.call("PATCH", path, h.user, `{"visibility":"PRIVATE"}`, "If-Match: "+tag), 412)
}

func TestWhatIsShownWithItsETagIsChangedUnderIt(t *testing.T) {
	raw, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	type operation struct {
		Parameters []struct{ Name string }
		Responses  map[string]struct{ Headers map[string]any }
	}
	var spec struct {
		Paths map[string]map[string]operation
	}
	if err := json.Unmarshal(raw, &spec); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for path, methods := range spec.Paths {
		if _, tagged := methods["get"].Responses["200"].Headers["ETag"]; !tagged {
			continue
		}
		for _, method := range []string{"put", "patch", "delete"} {
			change, ok := methods[method]
			if !ok {
				continue
			}
			checked++
			if !slices.ContainsFunc(change.Parameters, func(p struct{ Name string }) bool { return p.Name == "If-Match" }) {
				t.Errorf("%s %s takes no If-Match", method, path)
			}
		}
	}
	if checked < 9 {
		t.Errorf("%d changes found", checked)
	}
}

func TestListsAreFiltered(t *testing.T) {
	h := newHouse(t)
	for query, want := range map[string]int{
		"apps?name=DEMO": 1, "apps?name=other": 0, "apps?mine=true": 1, "apps?q=dem": 1, "apps?owner=bob": 0, "apps?tag=x": 0,
		"apps?category=x": 0, "apps?visibility=PRIVATE": 1, "apps?runnable=true": 1, "apps?runnable=false": 0,
		"instances?app=demo": 1, "instances?status=PENDING": 1, "instances?status=DEPLOYED": 0, "instances?owner=ada&visibility=PRIVATE": 1,
		"instances?mine=true": 1,
	} {
		list := decode[v1.List[struct{ ID string }]](h, h.call("GET", "/api/v1/"+query, h.user, ""), 200)
		if len(list.Items) != want {
			t.Errorf("%s: %d items, want %d", query, len(list.Items), want)
		}
	}
	h.problem(h.call("GET", "/api/v1/apps?runnable=perhaps", h.user, ""), 422)
	h.problem(h.call("GET", "/api/v1/instances?status=asleep", h.user, ""), 422)
}
