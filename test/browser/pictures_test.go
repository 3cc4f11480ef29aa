package browser

import (
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// pictures makes pictures of the page that is shown, wide and narrow, light and
// dark, for those who want to look: in the folder SLIPWAY_SCREENSHOTS. The page
// may not be wider than the window.
func (t *tab) pictures(name string) {
	t.Helper()
	folder := os.Getenv("SLIPWAY_SCREENSHOTS")
	if folder == "" {
		folder = t.dir
	}
	for _, width := range []int64{1000, 390} {
		t.Run(chromedp.EmulateViewport(width, 700))
		for _, scheme := range []string{"light", "dark"} {
			t.prefers("prefers-color-scheme", scheme)
			raw, err := chromedp.Run(t.Target, chromedp.FullScreenshot(100))
			if err == nil {
				file := name + "-" + scheme
				if width < 500 {
					file += "-narrow"
				}
				err = os.WriteFile(filepath.Join(folder, file+".png"), raw, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if wide := js[int](t, "document.documentElement.scrollWidth"); int64(wide) > width {
			t.Errorf("%s is %d pixels wide in a window of %d", name, wide, width)
		}
	}
}

// prefers sets what a person has told the browser to prefer.
func (t *tab) prefers(feature, value string) {
	t.Helper()
	if _, err := chromedp.Call(t.Target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: feature, Value: value}},
	}); err != nil {
		t.Fatal(err)
	}
}
