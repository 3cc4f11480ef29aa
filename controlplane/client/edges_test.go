package client

import (
	"net/http"
	"testing"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

func TestTheClientRemembersTheNewestRevision(t *testing.T) {
	answers := []string{"12", "30", "7", "", "x"}
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if answers[0] != "" {
			w.Header().Set("Slipway-Revision", answers[0])
		}
		answers = answers[1:]
		answerJSON(w, http.StatusOK, v1.Alias{})
	})
	for i, want := range []int64{12, 30, 30, 30, 30} {
		if _, err := c.PromoteAlias(t.Context(), "a"); err != nil || c.Revision() != want {
			t.Errorf("after answer %d: %d (%v), want %d", i, c.Revision(), err, want)
		}
	}
}

func TestAwaitEdgesAsksForNoMoreThanTheServerWaits(t *testing.T) {
	var query string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		query = r.URL.RawQuery
		answerJSON(w, http.StatusOK, v1.EdgeList{All: new(true)})
	})
	for wait, want := range map[time.Duration]string{time.Hour: "30s", 2 * time.Second: "2s", -time.Second: "0s"} {
		if list, err := c.AwaitEdges(t.Context(), 918, wait); err != nil || !*list.All || query != "revision=918&wait="+want {
			t.Errorf("%s asks %q (%v)", wait, query, err)
		}
	}
}
