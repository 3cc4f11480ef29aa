package waitingpage

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the parts of the page
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
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
// own origin to ask, and nothing else. Apps that are shown in frames are woken
// in them.
var Policy = "default-src 'none'; style-src '" + hashOf(style) + "'; script-src '" + hashOf(script) +
	"'; connect-src 'self'; base-uri 'none'; form-action 'none'"

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// Page is the page of one visitor.
type Page struct {
	State
	Title string // the app's

	WaitPath   string // of the events
	StatusPath string // of the state
	// LogURL is where the owner reads the log, and Command how; empty for others.
	LogURL, Command string
}

// refresh is after how many seconds a browser without JavaScript asks again.
const refresh = 3

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
	heading := "is starting"
	if p.Failed() {
		heading = "could not be started"
	}
	state, err := json.Marshal(p.State)
	if err != nil {
		return nil, fmt.Errorf("write waiting page: %w", err)
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, struct {
		*Page
		StateJSON string
		Heading   string
		Refresh   int
		Style     template.CSS
		Script    template.JS
		Items     []item
	}{p, string(state), heading, refresh, template.CSS(style), template.JS(script), p.items()}) //nolint:gosec // they are embedded
	if err != nil {
		return nil, fmt.Errorf("write waiting page: %w", err)
	}
	return out.Bytes(), nil
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
