package chromium

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// NoScripts are the preferences of somebody who allows no page a script.
const NoScripts = `{"profile":{"default_content_setting_values":{"javascript":2}}}`

// Browser is a Chromium of its own, or a profile in one: what one person has.
type Browser struct {
	// Target is chromedp's context of the first tab, for what Browser has no method
	// for.
	Target context.Context

	t testing.TB
}

// Config is how a Chromium differs from others.
type Config struct {
	Dir         string // where its own folder is made
	Preferences string // as Chromium keeps them; default: none
	Width       int    // of its windows, in pixels; default 1000, of 700 high
	Height      int
}

// Start starts a Chromium that takes every name for this machine, and asks
// nobody else. Its processes end with the test, or with ctx.
func Start(ctx context.Context, t testing.TB, cfg Config) *Browser {
	t.Helper()
	if cfg.Width == 0 {
		cfg.Width, cfg.Height = 1000, 700
	}
	data, err := os.MkdirTemp(cfg.Dir, "chromium")
	if err == nil && cfg.Preferences != "" {
		if err = os.Mkdir(filepath.Join(data, "Default"), 0o700); err == nil {
			err = os.WriteFile(filepath.Join(data, "Default", "Preferences"), []byte(cfg.Preferences), 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.UserDataDir(data), chromedp.NoSandbox, chromedp.IgnoreCertErrors, chromedp.WindowSize(cfg.Width, cfg.Height),
		chromedp.Flag("headless", "new"),
		chromedp.Flag("host-resolver-rules", "MAP * 127.0.0.1"),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		// A proxy of the environment would be asked for what is here.
		chromedp.Flag("no-proxy-server", true),
	)
	allocator, end := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(func() {
		end()
		slipwaytest.Eventually(t, "Chromium has ended", func() bool { return len(processesOf(data)) == 0 })
	})
	tab, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(tab); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return &Browser{t: t, Target: tab}
}

// processesOf are the processes that name a file on their command line.
func processesOf(file string) (pids []int) {
	entries, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range entries {
		if raw, err := os.ReadFile(name); err == nil && bytes.Contains(raw, []byte(file)) {
			pid, _ := strconv.Atoi(strings.Split(name, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

// Another is the browser of somebody else: it shares no cookie with this one.
func (b *Browser) Another() *Browser {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.Target, chromedp.WithNewBrowserContext())
	b.t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		b.t.Fatalf("begin a profile: %v", err)
	}
	return &Browser{t: b.t, Target: ctx}
}
