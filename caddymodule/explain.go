package caddymodule

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/seed-dbc68772/slipway/caddymodule/framing"
	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// stranger is an address that no client has (RFC 5737).
const stranger = "192.0.2.1"

// kindRefused is a request that no decision was asked for.
const kindRefused = "refused"

func (rt *Runtime) explain(q controlplane.ExplainRequest) (*controlplane.Explanation, error) {
	h := rt.explains.Load()
	if h == nil {
		return nil, controlplane.Errorf(controlplane.CodeUnavailable, "the edge has not started yet")
	}
	return h.explain(q)
}

// explain tells what the edge does with a request: the request is written as
// over HTTP/1.1, read, decided about and, were it sent, put into the words of
// the app by what serves requests. Nothing is dialled, woken or counted.
func (h *Handler) explain(q controlplane.ExplainRequest) (*controlplane.Explanation, error) {
	head, err := headOf(&q)
	if err != nil {
		return nil, err
	}
	table := h.runtime.Table()
	if table == nil {
		return nil, controlplane.Errorf(controlplane.CodeUnavailable, "the edge does not know its routes yet")
	}
	e := &controlplane.Explanation{URL: q.URL, Method: q.Method, Revision: strconv.FormatInt(table.Revision(), 10)}
	if status, code, bad := framing.Judge(head); bad {
		return refused(e, pageOfRefusal(status, code)), nil
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return refused(e, pageOfRefusal(http.StatusBadRequest, "bad_request")), nil
	}
	r.RemoteAddr = net.JoinHostPort(q.From, "0")
	if len(q.URL) > 5 && strings.EqualFold(q.URL[:6], "https:") {
		r.TLS = &tls.ConnectionState{}
	}
	request := requestOf(r)
	d := table.Decide(h.site, request)
	e.Kind, e.Status, e.Location, e.Rule = d.Kind.String(), d.Status, d.Location, d.Rule.String()
	if d.Alias != nil {
		e.Alias = &d.Alias.Name
	}
	if d.Instance != nil {
		id := d.Instance.ID.String()
		e.Instance, e.State = &id, d.Instance.Status.String()
	}
	steps := table.Steps(h.site, request, d)
	switch d.Kind {
	case routing.Serve:
		a := h.admit(table, d.Instance, r, request.Upgrade)
		if steps = append(steps, authorizedStep(d.Instance, &a)); !a.allowed() {
			h.refused(e, steps, r, d, &a)
			break
		}
		steps = append(steps, h.runningStep(r, d, request.Upgrade))
		if p, refused := h.atOnce(r, d, request.Upgrade); refused {
			answered(e, steps, p, r)
			break
		}
		if hold.Running(d.Instance) {
			e.Endpoint = d.Instance.Endpoint.String()
		}
		h.toApp(e, r, d, &a, request.Upgrade)
	case routing.Control, routing.Console, routing.Redirect, routing.Options:
	case routing.Own:
		a := h.admit(table, d.Instance, r, request.Upgrade)
		if d.Own == "ticket" {
			break // for those who are not signed in yet
		}
		if steps = append(steps, authorizedStep(d.Instance, &a)); !a.allowed() {
			h.refused(e, steps, r, d, &a)
		} else if _, p, bad := h.refusalOfOwn(r, d); bad {
			answered(e, steps, p, r)
		} else {
			e.Status, e.Type = http.StatusOK, stateType
			if d.Own == "wait" {
				e.Type = eventsType
			}
		}
	default:
		answered(e, steps, pageOf(d), r)
	}
	e.Steps = viewSteps(steps)
	return e, nil
}

// answered notes the page that the edge answers with, in the last step.
func answered(e *controlplane.Explanation, steps []routing.Step, p page, r *http.Request) {
	steps[len(steps)-1].Status = p.status
	e.Status, e.Code, e.Type = p.status, p.code, contentTypeOf(r)
}

// headOf writes the request as a client would, and completes q.
func headOf(q *controlplane.ExplainRequest) ([]byte, error) {
	host, target, err := splitURL(q.URL)
	if err != nil {
		return nil, err
	}
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	if q.From == "" {
		q.From = stranger
	}
	if _, err := netip.ParseAddr(q.From); err != nil {
		return nil, controlplane.Errorf(controlplane.CodeInvalid, "%q is no IP address", q.From)
	}
	if strings.ContainsAny(q.URL+q.Method, "\r\n") {
		return nil, controlplane.Errorf(controlplane.CodeInvalid, "a URL and a method have no line breaks")
	}
	fields, hasHost := "", false
	for _, line := range q.Headers {
		name, value, found := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !found || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, controlplane.Errorf(controlplane.CodeInvalid, "%q is no header", line).WithHint("write it as 'Name: value'")
		}
		hasHost = hasHost || strings.EqualFold(name, "Host")
		fields += name + ": " + value + "\r\n"
	}
	if q.WebSocket {
		fields += "Connection: Upgrade\r\nUpgrade: websocket\r\n"
	}
	if !hasHost {
		fields = "Host: " + host + "\r\n" + fields
	}
	return []byte(q.Method + " " + target + " HTTP/1.1\r\n" + fields + "\r\n"), nil
}

// splitURL takes a URL apart by hand: a parser would tidy up what is asked.
func splitURL(raw string) (host, target string, err error) {
	scheme, rest, found := strings.Cut(raw, "://")
	if !found || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", "", controlplane.Errorf(controlplane.CodeInvalid, "%q is not an absolute http or https URL", raw).
			WithHint("for example https://sales.apps.example.com/")
	}
	rest, _, _ = strings.Cut(rest, "#")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		return rest, "/", nil
	}
	host, target = rest[:end], rest[end:]
	if target[0] == '?' {
		target = "/" + target
	}
	return host, target, nil
}

// refused completes the explanation of a request that is not decided about.
func refused(e *controlplane.Explanation, p page) *controlplane.Explanation {
	step := routing.StepParse
	if p.status == http.StatusMethodNotAllowed {
		step = routing.StepMethod
	}
	e.Kind, e.Status, e.Code, e.Rule = kindRefused, p.status, p.code, p.text
	e.Type = problemType // what was refused has no headers any more
	e.Steps = []controlplane.ExplanationStep{{Step: step, Status: p.status, Rule: p.text, Found: fmt.Sprintf("%.100q", e.Method+" "+e.URL)}}
	return e
}

// authorizedStep tells whether the visitor may come.
func authorizedStep(in *routing.Instance, a *admission) routing.Step {
	who := "nobody signed in"
	switch known := a.visitor.Known; {
	case known != nil:
		who = fmt.Sprintf("user %q", known.Actor().User)
	case a.visitor.Spoiled || a.visitor.Foreign:
		who = "a credential that is not good here"
	}
	rule := "the visitor may open the instance"
	switch {
	case a.badOrigin:
		rule = "a WebSocket with a cookie must come from a page of the app itself"
	case a.verdict == controlplane.SignIn:
		rule = "the visitor must sign in first"
	case a.verdict == controlplane.Forbidden:
		rule = "the visitor may know of the instance, but not open it"
	case a.verdict == controlplane.Hidden:
		rule = "the visitor may not know of the instance"
	}
	return routing.Step{
		Name: routing.StepAuthorized, Rule: rule,
		Found: fmt.Sprintf("visibility %s, owner %q; %s", in.Visibility, in.Owner, who),
	}
}

// refused notes how a visitor is refused who may not come.
func (h *Handler) refused(e *controlplane.Explanation, steps []routing.Step, r *http.Request, d routing.Decision, a *admission) {
	p, signIn := refusalOf(r, a)
	if signIn {
		location, ok := h.wayToSignIn(d, nonceOf(r, h.cookies.Nonce(d.Instance.ID.String()))) // or that of a new nonce
		if ok {
			e.Status, e.Location, steps[len(steps)-1].Status = http.StatusFound, location, http.StatusFound
			return
		}
		p = tooLongToSignIn
	}
	answered(e, steps, p, r)
}

// runningStep tells whether the instance runs, and what the visit gets if not.
func (h *Handler) runningStep(r *http.Request, d routing.Decision, webSocket bool) routing.Step {
	in := d.Instance
	running := routing.Step{
		Name: routing.StepRunning, Rule: "the instance runs: the request is sent to it",
		Found: in.Status.String() + " at " + in.Endpoint.String() + ", generation " + strconv.FormatInt(in.Generation, 10),
	}
	if hold.Running(in) {
		return running
	}
	running.Found = in.Status.String()
	switch k := h.kindOf(r, d, webSocket); {
	case k == kindProbe:
		running.Rule = "the instance does not run, and such a request does not wake it"
		return running
	case k == kindPreflight && in.Visibility != routing.Public:
		running.Rule = "the instance does not run: a preflight is answered without it, and allows nothing"
		return running
	case k == kindAsync:
		running.Rule = "202 and where to ask"
	case k == kindPage:
		running.Rule = "the request waits for it for " + h.grace.String() + " at most, and then gets the waiting page"
	default:
		running.Rule = "the request waits for it for " + h.hold.String() + " at most"
	}
	if hold.Starting(in) {
		running.Rule = "the instance starts: " + running.Rule
	} else {
		running.Rule = "the instance sleeps: it is woken, and " + running.Rule
	}
	return running
}

// toApp tells what the app gets.
func (h *Handler) toApp(e *controlplane.Explanation, r *http.Request, d routing.Decision, a *admission, webSocket bool) {
	out := h.outgoing(r, d, webSocket)
	out.Identity = a.identity
	lines := strings.Split(strings.TrimSuffix(out.Head(), "\r\n\r\n"), "\r\n")
	slices.Sort(lines[2:]) // behind the request line and Host
	e.Sent = lines
	for name, values := range r.Header {
		if slices.ContainsFunc(values, func(value string) bool { return !sent(lines, name, value) }) {
			e.Dropped = append(e.Dropped, name)
		}
	}
	slices.Sort(e.Dropped)
}

// sent reports whether a line has the field's value, perhaps with more.
func sent(lines []string, name, value string) bool {
	return slices.ContainsFunc(lines[1:], func(line string) bool {
		n, v, _ := strings.Cut(line, ": ")
		return strings.EqualFold(n, name) && (strings.EqualFold(v, value) || strings.HasPrefix(v, value+", "))
	})
}

func viewSteps(steps []routing.Step) []controlplane.ExplanationStep {
	out := make([]controlplane.ExplanationStep, len(steps))
	for i, s := range steps {
		out[i] = controlplane.ExplanationStep{Step: s.Name, Status: s.Status, Rule: s.Rule, Found: s.Found}
	}
	return out
}
