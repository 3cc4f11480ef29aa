package caddymodule

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/seed-dbc68772/slipway/routing"
)

// ownStatus is what /.slipway/status answers on an instance's canonical URL: the
// instance as this edge's route table has it, with the names of the API's
// instance (spec interfaces.md §4).
type ownStatus struct {
	ID     string `json:"id"`
	Status string `json:"status"` // a status of spec instances.md §2
}

const statusType = "application/json"

// own answers below /.slipway/, where nothing is the app's (spec routing.md §1).
// Whoever may open the instance may ask for its status; that wakes nobody. Every
// other name there is 404.
func (h *Handler) own(w http.ResponseWriter, r *http.Request, v *visit, d routing.Decision) error {
	if o, p, bad := refusalOfOwn(r, d); bad {
		return h.end(w, r, v, o, p)
	}
	body, err := json.Marshal(ownStatus{ID: d.Instance.ID.String(), Status: d.Instance.Status.String()})
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", statusType)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a visitor who left needs no answer
	}
	h.note(w, r, v, "")
	return nil
}

// refusalOfOwn is the answer to what is not a question for the status.
func refusalOfOwn(r *http.Request, d routing.Decision) (o outcome, p page, bad bool) {
	switch {
	case d.Own != "status":
		return outcomeOf(d), pageOf(d), true
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return outDenied, page{status: http.StatusMethodNotAllowed, code: "method_not_allowed",
			text: "The status can be read only.", allow: "GET, HEAD"}, true
	}
	return o, p, false
}
