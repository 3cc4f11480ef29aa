package caddymodule

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/seed-dbc68772/slipway/caddymodule/hold/waitingpage"
)

// page is an answer of the edge itself: HTML for a browser, a problem document
// (RFC 9457) for other clients.
type page struct {
	status     int
	code       string // for machines
	text       string // one or two sentences for people
	retryAfter int    // seconds; 0: no header
	signIn     string // where a person signs in; "": no link
	allow      string // the methods that a 405 names; "": all but those that are never taken
	// start is what a problem document tells of the start that was waited for.
	start *waitingpage.State
}

// allow is the methods of the edge's own answers that name some. The app's
// may be fewer.
const allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{.Status}} {{.Title}}</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}h1{font-size:1.4rem}</style>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
{{with .SignIn}}<p><a href="{{.}}">Sign in</a></p>
{{end}}<p><a href="{{.Console}}">Go to the console</a></p>
</html>
`))

// answer writes a page. No answer of the edge may be cached: what is not there
// now may be there in a moment.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, p page) error {
	if p == visitorLeft {
		w.WriteHeader(p.status)
		return nil
	}
	title := http.StatusText(p.status)
	var body bytes.Buffer
	contentType := contentTypeOf(r)
	if contentType == htmlType {
		err := pageTemplate.Execute(&body, map[string]any{
			"Status": p.status, "Title": title, "Text": p.text, "SignIn": p.signIn, "Console": h.site.ConsoleURL(),
		})
		if err != nil {
			return fmt.Errorf("write page: %w", err)
		}
	} else {
		problem := map[string]any{
			"type": "about:blank", "title": title, "status": p.status, "detail": p.text, "code": p.code,
		}
		p.addStart(problem)
		if err := json.NewEncoder(&body).Encode(problem); err != nil {
			return fmt.Errorf("write problem: %w", err)
		}
	}
	header := w.Header()
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	header.Set("Vary", "Accept, Sec-Fetch-Mode")
	if p.status == http.StatusMethodNotAllowed {
		header.Set("Allow", cmp.Or(p.allow, allow))
	}
	if p.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	ownAnswer{p.status, contentType, body.Bytes()}.write(w, r)
	return nil
}

// ownAnswer is an answer of the edge itself, which nobody may keep.
type ownAnswer struct {
	status      int
	contentType string
	body        []byte
}

func (a ownAnswer) write(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", a.contentType)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.body) // a visitor who left needs no answer
	}
}

// addStart tells a program how far the start is: stage, eta_ms, queue, reason
// and retry_ms, as far as they are known.
func (p *page) addStart(problem map[string]any) {
	s := p.start
	if s == nil {
		return
	}
	if s.Stage != "" {
		problem["stage"] = s.Stage
	}
	if eta, known := s.ETA(); known {
		problem["eta_ms"] = eta.Milliseconds()
	}
	if s.Queue > 0 {
		problem["queue"] = s.Queue
	}
	if s.Failed() {
		problem["reason"], problem["retry_ms"] = s.Reason.Code, s.RetryMS
	}
}

// The types of the edge's answers.
const (
	htmlType    = "text/html; charset=utf-8"
	problemType = "application/problem+json"
)

// contentTypeOf is that of the edge's own answer to a request.
func contentTypeOf(r *http.Request) string {
	if prefersHTML(r) {
		return htmlType
	}
	return problemType
}

// prefersHTML reports whether the client is a browser that shows a page, or
// names HTML and likes it no less than JSON (RFC 9110 §12.5.1). A client that
// takes everything alike, as curl does, is a program.
func prefersHTML(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	const not = -1
	html, problem, other := float64(not), float64(not), float64(not)
	for _, line := range r.Header["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			kind, q, ok := mediaRange(part)
			if !ok {
				continue
			}
			switch kind {
			case "text/html", "application/xhtml+xml":
				html = max(html, q)
			case "application/json", "application/problem+json":
				problem = max(problem, q)
			case "*/*", "application/*":
				other = max(other, q)
			}
		}
	}
	if problem == not {
		return html > 0 && html >= other
	}
	return html > problem
}

// mediaRange splits a part of Accept into its type and its weight, 0 to 1.
func mediaRange(part string) (kind string, q float64, ok bool) {
	kind, rest, _ := strings.Cut(part, ";")
	kind, q = strings.ToLower(strings.TrimSpace(kind)), 1
	for parameter := range strings.SplitSeq(rest, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		var err error
		if q, err = strconv.ParseFloat(value, 64); err != nil || math.IsNaN(q) || q < 0 || q > 1 {
			return "", 0, false
		}
	}
	return kind, q, kind != ""
}
