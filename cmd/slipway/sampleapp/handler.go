package sampleapp

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Parse(pageSource))

// ServeHTTP implements [http.Handler].
func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	rest, below := strings.CutPrefix(path, a.instance.BasePath)
	if path == "/healthz" || below && rest == "healthz" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, "ok\n")
		return
	}
	a.log.Printf("%s %q", r.Method, r.RequestURI)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if !below {
		http.Error(w, fmt.Sprintf("This app is served below %s; it was asked for %s.", a.instance.BasePath, r.RequestURI), http.StatusNotFound)
		return
	}
	switch rest {
	case "ws":
		a.echo(w, r)
	case "events":
		a.events(w, r)
	case "whoami":
		a.whoami(w, r)
	case "icon.png":
		serveIcon(w)
	default:
		a.page(w, r)
	}
}

// seen is one request as it reached the app. In JSON, bytes of Target that are
// not UTF-8 become U+FFFD.
type seen struct {
	Instance instance            `json:"instance"`
	Method   string              `json:"method"`
	Target   string              `json:"target"` // of the request line, byte for byte
	Proto    string              `json:"proto"`
	Host     string              `json:"host"`
	Remote   string              `json:"remote"`
	Headers  map[string][]string `json:"headers"` // but Host; names as net/http spells them
	BodySize int64               `json:"body_size"`
}

// look reads the body to its end, however long it is, and keeps none of it.
func (a *app) look(r *http.Request) (seen, error) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return seen{}, fmt.Errorf("read body: %w", err)
	}
	headers := maps.Clone(r.Header)
	if len(r.TransferEncoding) > 0 {
		headers["Transfer-Encoding"] = r.TransferEncoding
	}
	return seen{
		Instance: a.instance,
		Method:   r.Method,
		Target:   r.RequestURI,
		Proto:    r.Proto,
		Host:     r.Host,
		Remote:   r.RemoteAddr,
		Headers:  headers,
		BodySize: n,
	}, nil
}

func (a *app) whoami(w http.ResponseWriter, r *http.Request) {
	s, err := a.look(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	reply(w, "application/json; charset=utf-8", out.Bytes())
}

// pageData is what the template shows.
type pageData struct {
	seen
	Names []string // of Headers, sorted
	Body  bool     // the request had one, or was one that has
	Nonce string   // of the page's own style and script
}

// RequestLine is the line as it stood on the wire.
func (d pageData) RequestLine() string { return d.Method + " " + d.Target + " " + d.Proto }

func (a *app) page(w http.ResponseWriter, r *http.Request) {
	s, err := a.look(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	data := pageData{
		seen:  s,
		Names: slices.Sorted(maps.Keys(s.Headers)),
		Body:  s.BodySize > 0 || r.Method == http.MethodPost,
		Nonce: rand.Text(),
	}
	var out bytes.Buffer
	if err := page.Execute(&out, data); err != nil {
		a.log.Printf("render page: %v", err)
		http.Error(w, "The page could not be rendered.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", fmt.Sprintf(
		"default-src 'none'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'; "+
			"script-src 'nonce-%[1]s'; style-src 'nonce-%[1]s'", data.Nonce))
	reply(w, "text/html; charset=utf-8", out.Bytes())
}

func serveIcon(w http.ResponseWriter) {
	data, err := icon()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	reply(w, "image/png", data)
}

// reply answers 200. That the client is gone is nobody's concern.
func reply(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}
