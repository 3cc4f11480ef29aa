package console

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

// The limits of what a browser keeps of sign-ins that are under way.
const (
	loginLife    = 10 * time.Minute
	maxChunk     = 3800     // bytes of a cookie's value; browsers take 4096 with name and attributes
	maxChunks    = 8        // of one sign-in
	maxPending   = 28 << 10 // bytes of all; the oldest go first
	stateLength  = 8 + 26   // of a state: seconds in hexadecimal, and a random text
	sealedLogins = "sign-in "
)

// loginState is what a sign-in remembers until its end.
type loginState struct {
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Next     string `json:"to"`
	Fragment string `json:"f,omitempty"`
	Began    int64  `json:"at"` // seconds
}

// newLogin begins a sign-in that leads to next.
func newLogin(next, fragment string, now time.Time) (*identity.Login, *loginState) {
	l := &identity.Login{
		State: fmt.Sprintf("%08x", now.Unix()) + strings.ToLower(rand.Text()[:26]), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(),
	}
	return l, &loginState{Nonce: l.Nonce, Verifier: l.Verifier, Next: next, Fragment: fragment, Began: now.Unix()}
}

// chunkName names one of the cookies of a sign-in.
func (n cookieNames) chunkName(state string, i int) string {
	return n.prefix + "login-" + state + "-" + strconv.Itoa(i) + n.suffix
}

// chunkOf reads such a name.
func (n cookieNames) chunkOf(name string) (state string, i int, ok bool) {
	middle, found := strings.CutPrefix(name, n.prefix+"login-")
	middle, last := strings.CutSuffix(middle, n.suffix)
	state, number, cut := strings.Cut(middle, "-")
	i, err := strconv.Atoi(number)
	return state, i, found && last && cut && err == nil && len(state) == stateLength && i >= 0 && i < maxChunks
}

// keepLogin writes the cookies of a sign-in, and clears those of the oldest
// where they would become too many.
func (s *console) keepLogin(w http.ResponseWriter, r *http.Request, state string, l *loginState) error {
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("keep sign-in: %w", err)
	}
	sealed, err := s.Sealer.Seal(sealedLogins+state, text)
	if err != nil {
		return err
	}
	value := base64.RawURLEncoding.EncodeToString(sealed)
	if len(value) > maxChunk*maxChunks {
		return fmt.Errorf("keep sign-in: %d bytes are too many", len(value))
	}
	s.clearOldest(w, r, maxPending-len(value))
	for i := 0; value != ""; i++ {
		n := min(len(value), maxChunk)
		s.Sessions.names.write(w, s.Sessions.names.chunkName(state, i), value[:n], loginLife)
		value = value[n:]
	}
	return nil
}

// clearOldest clears the oldest sign-ins until the others have no more than
// room bytes. A state begins with its time.
func (s *console) clearOldest(w http.ResponseWriter, r *http.Request, room int) {
	sizes := map[string]int{}
	for _, c := range r.Cookies() {
		if state, _, ok := s.Sessions.names.chunkOf(c.Name); ok {
			sizes[state] += len(c.Value)
		}
	}
	states := make([]string, 0, len(sizes))
	for state := range sizes {
		states = append(states, state)
	}
	slices.Sort(states)
	slices.Reverse(states)
	for _, state := range states {
		if room -= sizes[state]; room < 0 {
			s.clearLogin(w, r, state)
		}
	}
}

// clearLogin clears the cookies of a sign-in.
func (s *console) clearLogin(w http.ResponseWriter, r *http.Request, state string) {
	for _, c := range r.Cookies() {
		if of, _, ok := s.Sessions.names.chunkOf(c.Name); ok && of == state {
			s.Sessions.names.write(w, c.Name, "", 0)
		}
	}
}

// readLogin reads what a sign-in remembers; nil where there is nothing that is
// good.
func (s *console) readLogin(r *http.Request, state string, now time.Time) *loginState {
	if len(state) != stateLength {
		return nil
	}
	var value strings.Builder
	for i := range maxChunks {
		found := r.CookiesNamed(s.Sessions.names.chunkName(state, i))
		if len(found) > 1 {
			return nil
		}
		if len(found) == 0 {
			break
		}
		value.WriteString(found[0].Value)
	}
	sealed, err := base64.RawURLEncoding.DecodeString(value.String())
	if err != nil {
		return nil
	}
	text, err := s.Sealer.Open(sealedLogins+state, sealed)
	l := new(loginState)
	if err != nil || json.Unmarshal(text, l) != nil || now.Sub(time.Unix(l.Began, 0)) > loginLife {
		return nil
	}
	return l
}
