package cli

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// edges are two that have every change; with lags the second stands still. The
// fake waits for nothing.
func (f *fakeAPI) edges(r *http.Request) (any, error) {
	list := v1.EdgeList{List: v1.List[v1.Edge]{Revision: strconv.Itoa(f.revision + 7)}}
	list.Items = []v1.Edge{
		{Name: "edge-a", Revision: strconv.Itoa(f.revision), Version: "v1.0.0", Connections: 12, Since: fakeTime},
		{Name: "edge-b", Revision: strconv.Itoa(f.revision), Version: "v1.0.1", Since: fakeTime.Add(time.Hour)},
	}
	if f.lags {
		list.Items[1].Revision, list.Items[1].LagMS = "900", 1500
	}
	if !r.URL.Query().Has("revision") {
		return list, nil
	}
	asked, err := strconv.Atoi(r.URL.Query().Get("revision"))
	if _, badWait := time.ParseDuration(r.URL.Query().Get("wait")); err != nil || badWait != nil || asked > f.revision {
		return nil, controlplane.Errorf(controlplane.CodeInvalid, "query %q", r.URL.RawQuery)
	}
	list.All = new(true)
	for i := range list.Items {
		has, _ := strconv.Atoi(list.Items[i].Revision)
		list.Items[i].Applied = new(has >= asked)
		*list.All = *list.All && has >= asked
	}
	return list, nil
}

func explain(r *http.Request) (any, error) {
	var q v1.ExplainRequest
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return nil, err
	}
	e := v1.Explanation{
		URL: q.URL, Method: q.Method, Kind: "serve", Rule: "the host is an alias", Alias: new("sales"), Instance: new("2efe9e01"),
		State: "DEPLOYED", Endpoint: "127.0.0.1:4001", Revision: "918", Steps: []v1.ExplanationStep{
			{Step: "known", Rule: "the alias leads to a live instance", Found: "alias sales"},
			{Step: "canonical", Status: 302, Rule: "the alias is not the instance's primary one", Found: "to http://a/"},
		},
	}
	if q.WebSocket {
		e.Rule = "a WebSocket is never redirected"
	}
	e.Dropped = q.Headers
	if q.From != "" {
		e.Sent = []string{"X-Forwarded-For: " + q.From}
	}
	return e, nil
}
