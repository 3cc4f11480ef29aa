package browser

import (
	"os"
	"strings"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// faultsOfAccess looks at the page that is shown as WCAG 2.2 AA asks: what a
// script can tell of language, title, landmarks, names, sizes of targets (2.5.8)
// and contrast (1.4.3, 1.4.11). It returns what is wrong.
const faultsOfAccess = `(() => {
	const wrong = [], all = css => [...document.querySelectorAll(css)], shown = e => e.checkVisibility({visibilityProperty: true}) && e.getClientRects().length;
	if (!document.documentElement.lang) wrong.push('no language');
	if (!document.title.trim()) wrong.push('no title');
	if (all('h1').length !== 1) wrong.push(all('h1').length + ' headings h1');
	if (all('main').length !== 1) wrong.push(all('main').length + ' of main');
	const levels = all('h1,h2,h3,h4').filter(shown).map(h => +h.tagName[1]);
	levels.forEach((n, i) => { if (i && n > levels[i - 1] + 1) wrong.push('a heading h' + n + ' below h' + levels[i - 1]); });
	if (/user-scalable|maximum-scale/.test(document.querySelector('meta[name=viewport]').content)) wrong.push('it cannot be enlarged');
	const ids = all('[id]').map(e => e.id);
	if (new Set(ids).size !== ids.length) wrong.push('an ID twice');
	all('img').filter(e => !e.hasAttribute('alt')).forEach(e => wrong.push('a picture without alt: ' + e.outerHTML.slice(0, 80)));
	all('input:not([type=hidden])').filter(e => !e.labels.length && !e.ariaLabel).forEach(e => wrong.push('no label: ' + e.outerHTML));
	all('progress').filter(e => !e.ariaLabel && !e.labels.length).forEach(e => wrong.push('no name: ' + e.outerHTML));
	all('a[href],button').filter(shown).forEach(e => {
		if (!e.textContent.trim() && !e.ariaLabel) wrong.push('no name: ' + e.outerHTML);
		const box = e.getBoundingClientRect(), inText = getComputedStyle(e).display === 'inline';
		if (!inText && (box.width < 24 || box.height < 24)) wrong.push('a small target: ' + e.outerHTML);
	});
	const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
	const over = (back, color) => { // a CSS colour upon another
		canvas.fillStyle = 'rgb(' + back + ')'; canvas.fillRect(0, 0, 1, 1);
		canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
		return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
	};
	const dark = matchMedia('(prefers-color-scheme: dark)').matches, canvasColor = dark ? [18, 18, 18] : [255, 255, 255];
	const backOf = e => e ? over(backOf(e.parentElement), getComputedStyle(e).backgroundColor) : canvasColor;
	const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	const ratio = (a, b) => { const [x, y] = [light(a), light(b)]; return (Math.max(x, y) + .05) / (Math.min(x, y) + .05); };
	for (const e of all('body *').filter(e => shown(e) && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))) {
		const style = getComputedStyle(e), back = backOf(e), size = parseFloat(style.fontSize);
		const enough = size >= 24 || size >= 18.66 && style.fontWeight >= 700 ? 3 : 4.5, is = ratio(over(back, style.color), back);
		if (is < enough) wrong.push('a contrast of ' + is.toFixed(2) + ': ' + e.outerHTML.slice(0, 80));
	}
	all('progress').filter(shown).forEach(e => {
		const is = ratio(over(canvasColor, getComputedStyle(e).borderTopColor), backOf(document.body));
		if (is < 3) wrong.push('a contrast of ' + is.toFixed(2) + ': the border of progress');
	});
	return wrong;
})()`

// accessible checks the page that is shown, light and dark. Where SLIPWAY_AXE
// names axe-core's axe.min.js, its rules for WCAG 2.2 AA are checked too.
func (t *tab) accessible(name string) {
	t.Helper()
	axe := ""
	if file := os.Getenv("SLIPWAY_AXE"); file != "" {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		axe = string(raw)
	}
	for _, scheme := range []string{"light", "dark"} {
		t.prefers("prefers-color-scheme", scheme)
		faults := js[[]string](t, faultsOfAccess)
		if axe != "" {
			js[bool](t, "("+"()=>{"+axe+"\n;return true})()")
			faults = append(faults, js[[]string](t, `axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
				.then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ': ' + n.html.slice(0, 120) + ' ' + n.failureSummary)))`)...)
		}
		if len(faults) > 0 {
			t.Errorf("%s, %s, cannot be used by all: %s", name, scheme, strings.Join(faults, "\n"))
		}
	}
}

// focusShows wants that the first thing the keyboard reaches is this, and that
// it is seen (2.1.1, 2.4.7).
func (t *tab) focusShows(css string) {
	t.Helper()
	t.Run(chromedp.KeyEvent(kb.Tab))
	t.Is("the keyboard reaches "+css, "document.activeElement.matches("+quoted(css)+") && getComputedStyle(document.activeElement).outlineStyle !== 'none'")
}
