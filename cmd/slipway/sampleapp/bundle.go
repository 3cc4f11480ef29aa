package sampleapp

import (
	"archive/zip"
	"bytes"
	"fmt"
	"time"
)

// Name and Version identify the sample among the apps.
const (
	Name    = "slipway.sample"
	Version = "1.0.0"
)

const manifest = `[App]
Name = "` + Name + `"
Version = "` + Version + `"
Title = "Slipway sample"
Description = "Shows what reaches an app: URL, routing mode, request line and headers, a WebSocket echo and a stream of events."

[Runtime]
AppMode = "binary"
AppEntryPoint = ["slipway", "sample-app"]
RoutingMode = "DOMAIN"
HealthPath = "/healthz"
MemoryLimit = "256Mi"
MemoryReservation = "64Mi"
`

// bundleTime is the time of every entry: the first that a zip can hold.
var bundleTime = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

// Bundle builds the archive of the sample app. One build of the program makes
// the same bytes each time.
func Bundle() ([]byte, error) {
	picture, err := icon()
	if err != nil {
		return nil, fmt.Errorf("build sample bundle: %w", err)
	}
	files := []struct {
		name string
		data []byte
	}{
		{"app.toml", []byte(manifest)},
		{"static/icon.png", picture},
	}
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: bundleTime}
		header.SetMode(0o644)
		w, err := archive.CreateHeader(header)
		if err == nil {
			_, err = w.Write(f.data)
		}
		if err != nil {
			return nil, fmt.Errorf("build sample bundle: %w", err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("build sample bundle: %w", err)
	}
	return out.Bytes(), nil
}
