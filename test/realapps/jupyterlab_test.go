package realapps

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const (
	isLauncher = `document.querySelector('.jp-LauncherCard[data-category="Notebook"]')`
	isNotebook = `document.querySelector('.jp-NotebookPanel .jp-CodeCell .cm-content')`
	isIdle     = `document.querySelector('#jp-bottom-panel').innerText.includes('Python 3 (ipykernel) | Idle')`
)

// TestJupyterLab: its prefix is an option, its kernels talk by WebSockets, and
// its notebooks are on a volume.
func TestJupyterLab(t *testing.T) {
	w := newWorld(t)
	files := framework(t, "JupyterLab")
	p := w.person()
	in := w.begin(w.pack(files))
	p.Open(in.URL)
	p.IsWithin(starting, "the waiting page tells of packages", isInstalling)
	p.IsWithin(installing, "the launcher is shown", isLauncher)
	p.At(in.URL + "lab")

	p.Click(`.jp-LauncherCard[data-category="Notebook"]`)
	p.computes("6 * 7 * 1000003", "42000126")
	p.picture("jupyterlab")
	p.leaves()
	w.sleep(in)

	p.wakes(in, in.URL+"lab/tree/Untitled.ipynb", "the notebook is shown, which its volume has kept", isNotebook)
	p.Press("Select") // the kernel: it was not saved which
	p.computes("7 * 7 * 1000003", "49000147")
	p.leaves()

	second := w.begin(w.pack(inMode(files, "DOMAIN")))
	w.becomes(second, "DEPLOYED", starting)
	w.installedNothing(second)
	p.Open(second.URL + "lab/tree/Untitled.ipynb")
	p.IsWithin(starting, "its volume is its own", `document.body.innerText.includes('Could not find path')`)
}

// computes has the kernel of the notebook that is shown run a cell. What comes
// of it has come by the kernel's WebSocket.
func (p *person) computes(cell, result string) {
	p.Helper()
	p.Is("the notebook is shown", isNotebook)
	p.IsWithin(starting, "its kernel is idle", isIdle)
	p.Click(".jp-NotebookPanel .jp-CodeCell:last-child .cm-content")
	p.Run(chromedp.SendKeys(chromedp.CSS(".jp-NotebookPanel .jp-CodeCell:last-child .cm-content"), cell), chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(chromedp.ModifierShift)))
	p.Is("the kernel has answered "+result, `[...document.querySelectorAll('.jp-OutputArea-output')].some(o => o.innerText.trim() === '`+result+`')`)
}
