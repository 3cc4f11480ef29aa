package api

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// conditionalOperations are the changes that If-Match makes conditional (spec
// interfaces.md §4): those of one record that GET shows with its ETag.
var conditionalOperations = map[string]bool{
	"PATCH /api/v1/apps/{id}": true, "DELETE /api/v1/apps/{id}": true, "POST /api/v1/apps/{id}/preconditions": true,
	"PATCH /api/v1/instances/{id}": true, "DELETE /api/v1/instances/{id}": true, "POST /api/v1/instances/{id}/suspend": true,
	"POST /api/v1/instances/{id}/resume": true, "POST /api/v1/instances/{id}/restart": true, "POST /api/v1/instances/{id}/redeploy": true,
	"DELETE /api/v1/aliases/{alias}": true, "PUT /api/v1/aliases/{alias}/assignment": true, "POST /api/v1/aliases/{alias}/promote": true,
	"PATCH /api/v1/tags/{name}": true, "DELETE /api/v1/tags/{name}": true,
	"PUT /api/v1/secrets/{name}": true, "DELETE /api/v1/secrets/{name}": true,
	"PATCH /api/v1/users/{name}": true,
}

// conditional takes If-Match into the request. A change that cannot be
// conditional is refused with one, since it would be made whatever the record
// is; a read is not touched by it.
func conditional(r *http.Request, pattern string) (*http.Request, error) {
	lines := r.Header.Values("If-Match")
	if len(lines) == 0 || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return r, nil
	}
	if !conditionalOperations[pattern] {
		return r, controlplane.Errorf(controlplane.CodeInvalid, "%s takes no If-Match", pattern).WithHint("send none")
	}
	revisions, all, err := entityTags(strings.Join(lines, ","))
	if err != nil || all {
		return r, err // what is not there is refused anyhow
	}
	return r.WithContext(controlplane.OnlyAt(r.Context(), revisions)), nil
}

var entityTag = regexp.MustCompile(`^(W/)?"([\x21\x23-\x7e\x80-\xff]*)"$`)

// entityTags are the revisions that a field names, or all. A weak tag and one
// that is none of ours match nothing (RFC 9110, 13.1.1).
func entityTags(field string) (revisions []int64, all bool, err error) {
	if strings.TrimSpace(field) == "*" {
		return nil, true, nil
	}
	for tag := range strings.SplitSeq(field, ",") {
		if tag = strings.TrimSpace(tag); tag == "" {
			continue
		}
		parts := entityTag.FindStringSubmatch(tag)
		if parts == nil {
			return nil, false, controlplane.Errorf(controlplane.CodeInvalid, "If-Match: %.80q is not an entity tag", tag).
				WithHint(`send the ETag of an answer as it is, such as "918" with its quotes, or *`)
		}
		if n, err := strconv.ParseInt(parts[2], 10, 64); err == nil && parts[1] == "" {
			revisions = append(revisions, n)
		}
	}
	return append([]int64{}, revisions...), false, nil
}

// describeConditions adds If-Match to the description of the operations that
// take it.
func describeConditions(api huma.API) {
	for path, item := range api.OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{"PATCH": item.Patch, "DELETE": item.Delete, "POST": item.Post, "PUT": item.Put} {
			if op != nil && conditionalOperations[method+" "+path] {
				op.Parameters = append(op.Parameters, &huma.Param{
					Name: "If-Match", In: "header", Schema: &huma.Schema{Type: "string"},
					Description: "the ETag of an earlier answer: the change is made if nothing has changed since, and answered 412 otherwise",
				})
			}
		}
	}
}
