package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// BenchmarkLists is the whole of a list, page after page, for a user who has to
// be let in to each item: 10,000 apps, and as many instances.
func BenchmarkLists(b *testing.B) {
	const n = 10_000
	h := newHouse(b)
	var records []any
	for i := range n {
		app := &controlplane.App{
			ID: uuid.NewString(), Name: fmt.Sprintf("ai.h2o.app-%d", i), Version: "1.2.3", Title: fmt.Sprintf("App %d", i), Description: strings.Repeat("It shows what is there. ", 4),
			Owner: []string{"ada", "bob"}[i%2], Visibility: controlplane.AllUsers, Tags: []string{}, Lifecycle: controlplane.OnDemand,
			RoutingMode: controlplane.Domain, AppMode: controlplane.Python, Bundle: strings.Repeat("0", 64),
		}
		app.Manifest = controlplane.Manifest{Name: app.Name, Version: app.Version, Title: app.Title, Description: app.Description, Runtime: controlplane.Runtime{Module: "app", MemoryLimit: "2Gi", MemoryReservation: "512Mi"}}
		records = append(records, app, &controlplane.Instance{
			ID: uuid.NewString(), AppID: app.ID, AppName: app.Name, AppVersion: app.Version, Owner: app.Owner, Visibility: controlplane.AllUsers,
			Status: controlplane.Suspended, RoutingMode: controlplane.Domain, Launcher: "process", Generation: 1,
		})
	}
	for len(records) > 0 {
		some := records[:16]
		records = records[16:]
		if _, err := h.store.Update(b.Context(), func(tx controlplane.Tx) error {
			for _, r := range some {
				if err := tx.Put(r); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	for _, path := range []string{"apps", "instances", "apps?q=app-77", "instances?status=SUSPENDED&owner=bob"} {
		b.Run(path, func(b *testing.B) {
			list := func() (items int) {
				join := "?"
				if strings.Contains(path, "?") {
					join = "&"
				}
				for cursor := ""; ; {
					r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/api/v1/"+path+join+"limit=1000&cursor="+cursor, nil)
					r.Header.Set("Authorization", "Bearer "+h.user)
					w := httptest.NewRecorder()
					h.handler.ServeHTTP(w, r)
					var page v1.List[json.RawMessage]
					if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK {
						b.Fatal(w.Code, err)
					}
					if items += len(page.Items); page.NextCursor == nil {
						return items
					}
					cursor = *page.NextCursor
				}
			}
			list() // the first one reads all records
			items := 0
			for b.Loop() {
				items = list()
			}
			b.ReportMetric(float64(items), "items")
		})
	}
}
