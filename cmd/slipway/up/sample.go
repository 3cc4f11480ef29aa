package up

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-dbc68772/slipway/cmd/slipway/sampleapp"
	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// sampleRecord is sample.json: what was made of the sample app.
type sampleRecord struct {
	Instance string `json:"instance_id"`
}

// sample imports the sample app and starts an instance of it, once in the life
// of the data folder, and returns the instance's URL. If the user deleted it,
// the URL is empty.
func (r *run) sample(ctx context.Context) (string, error) {
	api, err := r.api()
	if err != nil {
		return "", err
	}
	path := filepath.Join(r.data, "sample.json")
	var record sampleRecord
	if raw, err := os.ReadFile(path); err == nil && json.Unmarshal(raw, &record) == nil && record.Instance != "" {
		if in, err := api.Instance(ctx, record.Instance); err == nil && in.Status == string(controlplane.Failed) {
			if _, err := api.Resume(ctx, in.ID); err != nil {
				return "", err
			}
		}
		return awaitSample(ctx, api, record.Instance)
	}
	app, err := sampleApp(ctx, api)
	if err != nil {
		return "", err
	}
	record.Instance, err = sampleInstance(ctx, api, app)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(record)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		return "", err
	}
	return awaitSample(ctx, api, record.Instance)
}

// sampleApp imports the sample app, or finds it if a run that was killed did.
func sampleApp(ctx context.Context, api *client.Client) (string, error) {
	bundle, err := sampleapp.Bundle()
	if err != nil {
		return "", err
	}
	app, err := api.ImportBundle(ctx, client.Import{Archive: bytes.NewReader(bundle), Size: int64(len(bundle)), Visibility: string(controlplane.Public)})
	if err == nil {
		return app.ID, nil
	}
	if client.CodeOf(err) != controlplane.CodeConflict {
		return "", err
	}
	for a, err := range api.AllApps(ctx) {
		if err != nil {
			return "", err
		}
		if a.Name == sampleapp.Name && a.Version == sampleapp.Version {
			return a.ID, nil
		}
	}
	return "", err
}

func sampleInstance(ctx context.Context, api *client.Client, app string) (string, error) {
	for in, err := range api.AllInstances(ctx) {
		if err != nil {
			return "", err
		}
		if in.AppID == app {
			return in.ID, nil
		}
	}
	public := string(controlplane.Public)
	in, err := api.Run(ctx, v1.RunRequest{AppID: app, Visibility: &public})
	if err != nil {
		return "", err
	}
	return in.ID, nil
}

// awaitSample waits until the instance does not start any more.
func awaitSample(ctx context.Context, api *client.Client, id string) (string, error) {
	for {
		in, err := api.Instance(ctx, id)
		switch {
		case client.CodeOf(err) == controlplane.CodeNotFound && err != nil:
			return "", nil
		case err != nil:
			return "", err
		}
		switch controlplane.Status(in.Status) {
		case controlplane.Failed:
			if in.Reason != nil {
				return "", errors.New(in.Reason.Text)
			}
			return "", errors.New("it failed to start")
		case controlplane.Pending, controlplane.Resuming:
		default:
			return in.URL, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}
