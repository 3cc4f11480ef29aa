package routing

import (
	"errors"
	"fmt"
	"net/netip"
)

// maxSocketPath is what a unix socket's address holds on Linux, in bytes.
const maxSocketPath = 107

// Endpoint is where an instance listens: an IP address and port, or the
// absolute path of a unix socket. It is validated when it is made, because an
// address with braces would be expanded as a placeholder further down. The
// zero Endpoint is nowhere. Endpoints compare with ==.
type Endpoint struct {
	address string // canonical; a socket's begins with "/"
}

// ParseEndpoint parses "ip:port", "[ip6]:port" (ports 1 to 65535, no host
// names) or an absolute socket path of at most 107 bytes. Neither may hold
// braces or control characters.
func ParseEndpoint(s string) (Endpoint, error) {
	address, err := parseAddress(s)
	if err != nil {
		return Endpoint{}, fmt.Errorf("parse endpoint %q: %w", s, err)
	}
	return Endpoint{address}, nil
}

func parseAddress(s string) (string, error) {
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20 || c == 0x7f:
			return "", errors.New("control character")
		case c == '{' || c == '}':
			return "", errors.New("braces")
		}
	}
	if s == "" {
		return "", errors.New("empty")
	}
	if s[0] == '/' {
		if s[len(s)-1] == '/' {
			return "", errors.New("socket path names a folder")
		}
		if len(s) > maxSocketPath {
			return "", fmt.Errorf("socket path is longer than %d bytes", maxSocketPath)
		}
		return s, nil
	}
	address, err := netip.ParseAddrPort(s)
	if err != nil {
		return "", errors.New("neither ip:port nor an absolute socket path")
	}
	if address.Port() == 0 {
		return "", errors.New("port is 0")
	}
	return address.String(), nil
}

// IsZero reports whether the endpoint is nowhere.
func (e Endpoint) IsZero() bool { return e.address == "" }

// Network returns "tcp" or "unix", for a dialer; "" if the endpoint is zero.
func (e Endpoint) Network() string {
	switch {
	case e.address == "":
		return ""
	case e.address[0] == '/':
		return "unix"
	default:
		return "tcp"
	}
}

// Address returns the address in canonical form, for a dialer; "" if the
// endpoint is zero. It does not allocate.
func (e Endpoint) Address() string { return e.address }

// String is Address.
func (e Endpoint) String() string { return e.address }

// MarshalText implements [encoding.TextMarshaler]; a zero endpoint is "".
func (e Endpoint) MarshalText() ([]byte, error) { return []byte(e.address), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]; "" is the zero endpoint.
func (e *Endpoint) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*e = Endpoint{}
		return nil
	}
	parsed, err := ParseEndpoint(string(text))
	if err != nil {
		return err
	}
	*e = parsed
	return nil
}
