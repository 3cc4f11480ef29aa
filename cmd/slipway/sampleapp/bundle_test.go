package sampleapp

import (
	"bytes"
	"slices"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
)

func TestBundleIsTakenWithoutAWarning(t *testing.T) {
	data, err := Bundle()
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(bytes.NewReader(data), int64(len(data)), bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Warnings) > 0 {
		t.Errorf("warnings %v", b.Warnings)
	}
	m := b.Manifest
	if m.Name != Name || m.Version != Version || m.Title != "Slipway sample" || m.Description == "" {
		t.Errorf("manifest %+v", m)
	}
	r := m.Runtime
	if r.AppMode != controlplane.Binary || r.RoutingMode != controlplane.Domain || r.HealthPath != "/healthz" ||
		r.MemoryLimit != "256Mi" || r.MemoryReservation != "64Mi" || !slices.Equal(r.AppEntryPoint, []string{"slipway", "sample-app"}) {
		t.Errorf("runtime %+v", r)
	}
	if b.Icon != "static/icon.png" || b.Files != 2 {
		t.Errorf("icon %q among %d files", b.Icon, b.Files)
	}
}

func TestBundleIsTheSameEachTime(t *testing.T) {
	one, err := Bundle()
	if err != nil {
		t.Fatal(err)
	}
	two, err := Bundle()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) {
		t.Error("two bundles differ")
	}
}
