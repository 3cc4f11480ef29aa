package browser

import (
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// TestADeepLinkSurvivesASignIn: path, query and fragment of the address that
// somebody opened are there again after the provider's form, whether the
// instance runs or sleeps, and whether the console knows the visitor or not.
func TestADeepLinkSurvivesASignIn(t *testing.T) {
	for name, with := range map[string]setup{
		"console beside the apps":               {},
		"console on another registrable domain": {console: "console.other.test"},
		"http on localhost":                     {plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, with)
			api := w.api("victim")
			in := w.run(api, slipwaytest.App{Name: "deep"}, "PRIVATE")
			link := in.URL + "a/b%2Fc;d?q=1&q=%20x+y&r=%25#/route?x=1&y=%20ä"
			want := strings.Replace(link, "ä", "%C3%A4", 1)
			b := w.browser()

			tab := b.tab()
			tab.Open(link)
			tab.signIn("victim")
			tab.At(want)
			if got := js[string](tab, "JSON.parse(document.body.innerText).uri"); got != "/a/b%2Fc;d?q=1&q=%20x+y&r=%25" {
				t.Errorf("the app was asked for %s", got)
			}
			tab.Quiet()

			// Nobody is asked twice: neither here nor for another instance.
			forms := w.provider.Counts().Login
			again := b.tab()
			again.Open(link)
			again.At(want)
			other := w.run(api, slipwaytest.App{Name: "other"}, "PRIVATE")
			again.Open(other.URL + "x?y#z")
			again.At(other.URL + "x?y#z")
			if got := w.provider.Counts().Login; got != forms {
				t.Errorf("the provider was asked %d times more", got-forms)
			}
			again.Quiet()

			if _, err := api.Suspend(t.Context(), in.ID); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it sleeps", func() bool { return w.status(api, in.ID) == "SUSPENDED" })
			stranger := b.another().tab()
			stranger.Open(link)
			if got := w.status(api, in.ID); got != "SUSPENDED" {
				t.Errorf("somebody who is not signed in woke it: %s", got)
			}
			stranger.signIn("victim")
			stranger.At(want)
			if got := w.status(api, in.ID); got != "DEPLOYED" {
				t.Errorf("the instance is %s", got)
			}
			stranger.QuietBut("503") // of the waiting page, where the start is slow
		})
	}
}
