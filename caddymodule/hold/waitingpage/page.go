package waitingpage

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the parts of the page
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"strconv"
)

var (
	//go:embed page.html
	markup string
	//go:embed page.css
	style string
	//go:embed page.js
	script string
)

// Policy is the page's Content-Security-Policy: its own style and script, its
// own origin to ask and for the tab's icon, the icon that is in the page, and
// nothing else. Apps that are shown in frames are woken in them.
var Policy = "default-src 'none'; style-src '" + hashOf(style) + "'; script-src '" + hashOf(script) +
	"'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'"

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// Page is the page of one visitor.
type Page struct {
	State
	Title string // the app's
	// Address is the page's own, absolute, without the fragment, which nobody
	// here knows.
	Address string

	// Icon is the app's, a PNG; nil where it has none. It is in the page. IconPath
	// is where browsers get what they show beside the title.
	Icon     []byte
	IconPath string

	WaitPath   string // of the events
	StatusPath string // of the state
	// LogURL is where the owner reads the log, and Command how; empty for others.
	LogURL, Command string
}

// refresh is after how many seconds a browser without JavaScript asks again.
const refresh = 3

// maxAddress is how long an address may be that is in the page, in bytes: the
// page is small, whatever was asked for.
const maxAddress = 2 << 10

// refreshTo is the content of the page's refresh. It names the address: without
// one, a browser that is at a fragment would only scroll there again. All bytes
// that could end an attribute, or are no text, are escaped.
func (p *Page) refreshTo() string {
	if p.Address == "" || len(p.Address) > maxAddress {
		return strconv.Itoa(refresh)
	}
	to := []byte(strconv.Itoa(refresh) + ";url=")
	for _, c := range []byte(p.Address) {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\'' || c == '<' || c == '>' {
			to = fmt.Appendf(to, "%%%02X", c)
		} else {
			to = append(to, c)
		}
	}
	return string(to)
}

var parsed = template.Must(template.New("page").Parse(markup))

// item is a line of the list of stages.
type item struct {
	Stage, Name, Class string
	Current, Hidden    bool
}

// HTML writes the page.
func (p *Page) HTML() ([]byte, error) {
	if p.Title == "" {
		p.Title = "The app"
	}
	state, err := json.Marshal(p.State)
	if err != nil {
		return nil, fmt.Errorf("write waiting page: %w", err)
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, struct {
		*Page
		StateJSON string
		Refresh   string
		IconURL   template.URL
		Style     template.CSS
		Script    template.JS
		Items     []item
	}{p, string(state), p.refreshTo(), p.iconURL(), template.CSS(style), template.JS(script), p.items()}) //nolint:gosec // they are embedded
	if err != nil {
		return nil, fmt.Errorf("write waiting page: %w", err)
	}
	return out.Bytes(), nil
}

// StartingTitle is the document's title while the app starts, FailedTitle after
// a failure.
func (p *Page) StartingTitle() string { return p.Title + " is starting" }

// FailedTitle is described with StartingTitle.
func (p *Page) FailedTitle() string { return p.Title + " could not be started" }

func (p *Page) iconURL() template.URL {
	if len(p.Icon) == 0 {
		return ""
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(p.Icon)) //nolint:gosec // letters and digits
}

func (p *Page) items() []item {
	at := stageAt(p.Stage)
	items := make([]item, len(steps))
	for i, s := range steps {
		items[i] = item{Stage: string(s.Stage), Name: s.Name, Current: i == at, Hidden: s.Seldom && i != at}
		if i < at {
			items[i].Class = "done"
		}
	}
	return items
}
