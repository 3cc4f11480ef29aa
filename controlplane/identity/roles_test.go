package identity

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestRolesAreFoundByAPath(t *testing.T) {
	for name, c := range map[string]struct {
		claim, in string
		want      []string
		found     bool
		fails     bool
	}{
		"a name":                     {"roles", `{"roles":["a","b"]}`, []string{"a", "b"}, true, false},
		"a path":                     {"realm_access.roles", `{"realm_access":{"roles":["a"]}}`, []string{"a"}, true, false},
		"a longer path":              {"resource_access.slipway.roles", `{"resource_access":{"slipway":{"roles":["a"]}}}`, []string{"a"}, true, false},
		"a name with dots":           {"https://example.com/roles", `{"https://example.com/roles":["a"]}`, []string{"a"}, true, false},
		"the whole name first":       {"a.b", `{"a.b":["whole"],"a":{"b":["path"]}}`, []string{"whole"}, true, false},
		"dots within a path":         {"resource_access.my.client.roles", `{"resource_access":{"my.client":{"roles":["a"]}}}`, []string{"a"}, true, false},
		"the longest name first":     {"a.b.c", `{"a.b":{"c":["long"]},"a":{"b":{"c":["short"]}}}`, []string{"long"}, true, false},
		"a shorter one if need be":   {"a.b.c", `{"a.b":{"d":1},"a":{"b":{"c":["short"]}}}`, []string{"short"}, true, false},
		"a single text":              {"roles", `{"roles":"a"}`, []string{"a"}, true, false},
		"none":                       {"roles", `{"roles":[]}`, []string{}, true, false},
		"null":                       {"roles", `{"roles":null}`, []string{}, true, false},
		"absent":                     {"roles", `{"role":["a"]}`, nil, false, false},
		"a path that ends before":    {"a.b", `{"a":["b"]}`, nil, false, false},
		"numbers":                    {"roles", `{"roles":[1]}`, nil, false, true},
		"an object":                  {"roles", `{"roles":{"admin":true}}`, nil, false, true},
		"a boolean":                  {"roles", `{"roles":true}`, nil, false, true},
		"dots alone":                 {"...", `{"":{"":{"":{"":["a"]}}}}`, []string{"a"}, true, false},
		"no path into a text's text": {"a.b", `{"a":"b"}`, nil, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			all := map[string]any{}
			if err := json.Unmarshal([]byte(c.in), &all); err != nil {
				t.Fatal(err)
			}
			roles, found, err := rolesIn([]map[string]any{{"other": 1}, all}, c.claim)
			if !slices.Equal(roles, c.want) || found != c.found || (err != nil) != c.fails {
				t.Errorf("%v, %v, %v", roles, found, err)
			}
		})
	}
}
