package realapps

import "testing"

// TestStreamlit: all that it shows comes by its WebSocket.
func TestStreamlit(t *testing.T) {
	w := newWorld(t)
	p := w.person()
	files := framework(t, "Streamlit")
	for _, mode := range []string{"DOMAIN", "BASE_URL"} {
		in := w.begin(w.pack(inMode(files, mode)))
		p.Open(in.URL)
		if mode == "DOMAIN" { // the first of them
			p.IsWithin(starting, "the waiting page tells of packages", isInstalling)
		}
		p.IsWithin(installing, "the app is shown", heading("Welcome to Streamlit"))
		if mode != "DOMAIN" {
			w.installedNothing(in)
		}
		p.Click(`[data-testid="stSidebarNav"] a[href$="plotting_demo"]`)
		p.Is("another of its pages is shown", heading("Plotting demo"))
		p.At(in.URL + "plotting_demo")
		p.Is("what it sends by and by arrives", `/\b[1-9]\d% complete/.test(document.body.innerText)`)
		p.picture("streamlit-" + mode)
		p.leaves()
		w.sleep(in)
		p.wakes(in, in.URL+"plotting_demo?embed=false#b", "the page is shown", heading("Plotting demo"))
		p.leaves()
	}
}

// heading is true of a page with a heading of this text, whatever stands around
// it.
func heading(text string) string {
	return `[...document.querySelectorAll('h1,h2')].some(h => h.innerText.includes('` + text + `'))`
}
