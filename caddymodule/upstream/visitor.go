package upstream

import (
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// passHeaders puts the answer's headers into h, by spec routing.md §6. What the
// server has set of itself goes: the answer is the app's.
func (x *exchange) passHeaders(h http.Header) {
	a := &x.answer
	delete(h, "Server")
	hop := ""
	for i, name := range a.names {
		if name == "Connection" {
			hop += "," + a.values[i]
		}
	}
	for i, name := range a.names {
		value, pass := x.passHeader(name, a.values[i])
		if !pass || hop != "" && listed(hop, name) {
			continue
		}
		if _, more := h[name]; more {
			if name == "Content-Length" {
				continue // the same once more
			}
			h[name] = append(h[name], value)
		} else {
			a.values[i] = value
			h[name] = a.values[i : i+1 : i+1]
		}
	}
	if _, has := h["Content-Type"]; !has {
		h["Content-Type"] = nil // else the server guesses one
	}
}

// passHeader returns a header as the visitor gets it, and whether he does.
func (x *exchange) passHeader(name, value string) (string, bool) {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade",
		"Nel", "Report-To", "Alt-Svc", "Strict-Transport-Security":
		return "", false
	case "Content-Length":
		// Over HTTP/2 clients take a 204 with one for malformed (RFC 9110 §8.6).
		return value, !x.answer.chunked && x.answer.status != http.StatusNoContent
	case "Trailer":
		return value, x.answer.chunked
	case "Set-Cookie":
		return x.r.cookie(value)
	case "Service-Worker-Allowed":
		return value, x.r.inPrefix(value)
	case "Clear-Site-Data":
		return value, !x.r.clearsOthers(value)
	}
	return value, true
}

// inPrefix reports whether a path that the app names is within what is its own.
// A browser takes tabs out of it before it looks for dots.
func (r *Request) inPrefix(path string) bool {
	return r.Prefix == "" || strings.HasPrefix(path, r.Prefix) && !strings.Contains(path, "..") && !strings.ContainsAny(path, "%\\\t")
}

// clearsOthers reports whether a Clear-Site-Data would reach beyond the app:
// cookies are cleared for a whole registrable domain, the rest for the origin.
func (r *Request) clearsOthers(value string) bool {
	for part := range strings.SplitSeq(value, ",") {
		switch strings.ToLower(strings.Trim(part, " \t\"")) {
		case "*", "cookies":
			return true
		case "storage", "executioncontexts":
			if r.Prefix != "" {
				return true
			}
		}
	}
	return false
}

// cookie returns a Set-Cookie as the visitor gets it, and whether he does: a
// Domain above the app's host goes, and below a prefix the Path is held inside.
// There the host itself is above the app: a cookie for all names below it would
// reach other apps.
func (r *Request) cookie(value string) (string, bool) {
	// A cookie without a name comes back as its bare value.
	if isOurCookie(strings.TrimLeft(value, " \t=")) {
		return "", false
	}
	if r.Prefix == "" && !hasAttribute(value, "domain") {
		return value, true
	}
	parts := strings.Split(value, ";")
	for i, part := range slices.Backward(parts[1:]) {
		attribute, text, _ := strings.Cut(part, "=")
		text = strings.Trim(text, " \t")
		switch strings.ToLower(strings.Trim(attribute, " \t")) {
		case "domain":
			if host := hostname(r.Host); above(host, text) || r.Prefix != "" && above("."+host, text) {
				parts = slices.Delete(parts, i+1, i+2)
			}
		case "path":
			if r.Prefix == "" {
				continue
			}
			path, pass := r.cookiePath(text)
			if !pass {
				return "", false
			}
			parts[i+1] = " Path=" + path
		}
	}
	return strings.Join(parts, ";"), true
}

func hasAttribute(cookie, name string) bool {
	_, attributes, _ := strings.Cut(cookie, ";")
	for part := range strings.SplitSeq(attributes, ";") {
		attribute, _, _ := strings.Cut(part, "=")
		if strings.EqualFold(strings.Trim(attribute, " \t"), name) {
			return true
		}
	}
	return false
}

// hostname is a Host header's host: in lower case, without port and final dot.
func hostname(host string) string {
	name, _, _ := strings.Cut(host, ":")
	return strings.TrimSuffix(strings.ToLower(name), ".")
}

// above reports whether a cookie's Domain is one of the host's parents.
func above(host, domain string) bool {
	domain = strings.TrimPrefix(strings.ToLower(domain), ".")
	return domain != "" && strings.HasSuffix(host, "."+domain)
}

// cookiePath holds a path inside the prefix; a path of another instance is
// refused. A browser compares paths byte for byte.
func (r *Request) cookiePath(path string) (string, bool) {
	const instances = "/instance/"
	switch {
	case strings.HasPrefix(path, r.Prefix):
		return path, true
	case path == strings.TrimSuffix(r.Prefix, "/"), !strings.HasPrefix(path, instances), path == instances:
		return r.Prefix, true
	}
	return "", false
}

// trailers passes on what follows the last chunk.
func (x *exchange) trailers() error {
	section, err := readTrailers(x.conn.read)
	if err != nil {
		return err
	}
	if section == "\r\n" || section == "\n" {
		return nil
	}
	h := x.w.Header()
	for rest := section; ; {
		var line string
		if line, rest = cutLine(rest); line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return badAnswer("%.80q is no trailer", line)
		}
		if name = http.CanonicalHeaderKey(name); !httpguts.ValidTrailerHeader(name) {
			continue
		}
		if value, pass := x.passHeader(name, value); pass {
			h.Add(http.TrailerPrefix+name, value)
		}
	}
	// Before the handler returns: the server would take a small answer for whole
	// and give its length in place of the trailers.
	x.flush()
	return nil
}
