package api

import (
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/spelling"
)

// strict refuses what an operation does not know: parameters of the query, and a
// body where it takes none. Who sends them means something by it.
func strict(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	if faults := unknownParameters(op, slices.Sorted(maps.Keys(queryOf(ctx)))); len(faults) > 0 {
		refused := controlplane.Errorf(controlplane.CodeInvalid, "%s takes no parameter %q", op.OperationID, strings.TrimPrefix(faults[0].Where, "query."))
		refuse(ctx, refused.WithHint("%s", faults[0].Hint), faults)
		return
	}
	if op.RequestBody == nil && hasBody(ctx.BodyReader()) {
		refused := controlplane.Errorf(controlplane.CodeInvalid, "%s takes no body", op.OperationID).
			WithHint("send none; GET /api/openapi.json tells what it takes")
		refuse(ctx, refused, []v1.Fault{{Code: "unexpected_body", Where: "body", Message: "there is one"}})
		return
	}
	next(ctx)
}

func refuse(ctx huma.Context, err error, faults []v1.Fault) {
	p := newProblem(ctx.Context(), err)
	p.Errors = faults
	_, w := humago.Unwrap(ctx)
	writeProblem(w, p)
}

func queryOf(ctx huma.Context) map[string][]string {
	u := ctx.URL()
	return u.Query()
}

func hasBody(body io.Reader) bool {
	if body == nil {
		return false
	}
	n, _ := io.ReadFull(body, make([]byte, 1)) // one that cannot be read is none
	return n > 0
}

// unknownParameters is a fault for each key of a query that the operation does
// not have.
func unknownParameters(op *huma.Operation, keys []string) (faults []v1.Fault) {
	var known []string
	for _, p := range op.Parameters {
		if p.In == "query" {
			known = append(known, p.Name)
		}
	}
	for _, key := range keys {
		if slices.Contains(known, key) {
			continue
		}
		hint := "it takes none"
		if len(known) > 0 {
			hint = "it takes " + strings.Join(known, ", ")
		}
		if near := nearest(key, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		faults = append(faults, v1.Fault{Code: "unknown_parameter", Where: "query." + key[:min(len(key), maxPath)], Message: "no such parameter", Hint: hint})
	}
	return faults
}

// nearest is the name that a key was likely meant to be: the same but for case and
// at most two letters.
func nearest(key string, names []string) (near string) {
	if len(key) > maxPath {
		return ""
	}
	least := 3
	for _, name := range names {
		if d := spelling.Distance(strings.ToLower(key), name); d < least && d < len(name) {
			near, least = name, d
		}
	}
	return near
}
