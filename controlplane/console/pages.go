package console

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// The parts of every page. Style and script count by their hashes, of just
// these bytes.
var (
	//go:embed page.html
	pageText string
	//go:embed style.css
	styleText string
	//go:embed onward.js
	onwardText string
	//go:embed log.js
	logText string

	styleHash  = hashOf(styleText)
	onwardHash = hashOf(onwardText)
	logHash    = hashOf(logText)

	pageTemplate = template.Must(template.New("page").Parse(pageText))
)

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// policy is a page's Content-Security-Policy; script is the hash of its script,
// or empty.
func policy(script string) string {
	p := "default-src 'none'; style-src " + styleHash + "; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	if script != "" {
		p += "; script-src " + script
	}
	return p
}

// view is what a page shows.
type view struct {
	Title string
	Actor *controlplane.Actor // who is signed in, if that is known
	Text  string
	Hint  string
	Code  string // to copy
	Facts []field
	Links []linkTo
	Form  *form
	// Onward is where the page goes by itself: by its script, with the fragment
	// that the browser has, where the policy lets the script run; else as it is.
	Onward string
	Script bool

	List     *listing
	Tokens   *tokenList
	Instance *instanceView
}

type (
	field  struct{ Name, Value string }
	linkTo struct{ URL, Text string }
	input  struct{ Name, Label string }
	form   struct {
		Action  string
		Get     bool
		Hidden  []field
		Inputs  []input
		Buttons []field // value and text
	}
	tokenRow  struct{ ID, Name, Scopes, Expires string }
	tokenList struct {
		Items  []tokenRow
		Scopes []controlplane.Scope
	}
)

// show answers with a page.
func (s *console) show(w http.ResponseWriter, r *http.Request, status int, v view) {
	v.Script = v.Onward != "" && strings.Contains(w.Header().Get("Content-Security-Policy"), onwardHash)
	var out bytes.Buffer
	err := pageTemplate.Execute(&out, struct {
		view
		Style    template.CSS
		OnwardJS template.JS
		LogJS    template.JS
	}{v, template.CSS(styleText), template.JS(onwardText), template.JS(logText)})
	if err != nil {
		s.Log.Error("page not made", zap.String("title", v.Title), zap.Error(err))
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(out.Bytes()) // a visitor who left needs no answer
	}
}

// statuses maps what kind of error it is to a page's status.
var statuses = map[controlplane.Code]int{
	controlplane.CodeInvalid:      http.StatusBadRequest,
	controlplane.CodeNotFound:     http.StatusNotFound,
	controlplane.CodeConflict:     http.StatusConflict,
	controlplane.CodeUnauthorized: http.StatusUnauthorized,
	controlplane.CodeForbidden:    http.StatusForbidden,
	controlplane.CodeTooMany:      http.StatusTooManyRequests,
	controlplane.CodeUnavailable:  http.StatusServiceUnavailable,
}

// fail answers with what a visitor may know of an error, and logs the rest.
func (s *console) fail(w http.ResponseWriter, r *http.Request, err error) {
	known, ok := errors.AsType[*controlplane.Error](err)
	if !ok || statuses[known.Code] == 0 {
		known = controlplane.Errorf(controlplane.CodeInternal, "something broke inside the control plane").WithHint("the control plane's log has more")
	}
	status := statuses[known.Code]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	if status >= http.StatusInternalServerError {
		s.Log.Error("page failed", zap.String("path", r.URL.Path), zap.Error(err))
	} else if known.Cause != nil {
		s.Log.Warn("page refused", zap.String("path", r.URL.Path), zap.Error(err))
	}
	v := view{Title: titles[status], Text: sentence(known.What), Hint: sentence(known.Hint)}
	if v.Title == "" {
		v.Title = http.StatusText(status)
	}
	_, signedIn := s.Sessions.id(r)
	if known.Code == controlplane.CodeUnauthorized || known.Code == controlplane.CodeUnavailable || known.Code == controlplane.CodeForbidden && !signedIn {
		v.Links = append(v.Links, linkTo{s.origin + "/login", "Sign in"})
	}
	v.Links = append(v.Links, linkTo{s.origin + "/", "Console"})
	s.show(w, r, status, v)
}

var titles = map[int]string{
	http.StatusBadRequest: "This does not work", http.StatusUnauthorized: "Not signed in", http.StatusForbidden: "Not allowed",
	http.StatusNotFound: "Not found", http.StatusServiceUnavailable: "Not possible right now", http.StatusInternalServerError: "Something broke",
}

// sentence makes a sentence of an error's text. A command at its beginning stays
// as it is typed.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	if !strings.HasPrefix(text, "slipway ") {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return text + "."
}
