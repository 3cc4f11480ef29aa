package e2e

import (
	"net/http"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// TestNoVisitorReachesAStranger: while nothing runs, another process may take
// the port that an instance had. No visitor may be sent there, from the first
// moment that the edge answers.
func TestNoVisitorReachesAStranger(t *testing.T) {
	t.Parallel()
	s := up(t)
	in := s.run(app{Name: "app"})
	e, err := s.api().Explain(t.Context(), v1.ExplainRequest{URL: s.origin(in.ID) + "/"})
	if err != nil {
		t.Fatal(err)
	}
	s.stop()
	slipwaytest.Stranger(t, e.Endpoint)

	answers, done := map[int]int{}, make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-done:
				return
			default:
			}
			if a, err := s.ask(request{host: s.host(in.ID), target: "/"}); err == nil {
				answers[a.status]++
			}
		}
	}()
	s.start()
	s.get(s.host(in.ID), "/").echo(t)
	close(done)
	<-over
	if len(answers) != 1 || answers[http.StatusOK] == 0 {
		t.Errorf("answers by status: %v, want 200 alone; 418 is the stranger's", answers)
	}
}
