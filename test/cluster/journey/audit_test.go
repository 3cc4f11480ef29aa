package journey

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
)

// asked is a line of the API server's audit log: what somebody asked for.
type asked struct {
	Verb       string
	RequestURI string
	User       struct{ Username string }
	// When it was answered.
	StageTimestamp time.Time
	ObjectRef      *struct{ Resource, Subresource, APIGroup, Namespace, Name string }
	// Of the answer.
	ResponseStatus struct{ Code int }
}

// rolesTake is how long an API server that a test has restarted may take to know
// its roles, once it says that it is ready.
const rolesTake = 2 * time.Second

// what names the kind of object, as rules do.
func (a asked) what() string {
	r := a.ObjectRef.Resource
	if a.ObjectRef.Subresource != "" {
		r += "/" + a.ObjectRef.Subresource
	}
	return r
}

// audit is all that the account has asked for, as the API server wrote it down.
func (s *space) audit() (all []asked) {
	s.t.Helper()
	name := filepath.Join(os.Getenv("LAB"), "logs", "audit.json")
	f, err := os.Open(name)
	if err != nil {
		s.t.Fatalf("the API server keeps no audit log: %v", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		if !bytes.Contains(lines.Bytes(), []byte(s.account)) {
			continue
		}
		var a asked
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			s.t.Fatalf("read %s: %v", name, err)
		}
		if a.User.Username == s.account {
			all = append(all, a)
		}
	}
	if err := lines.Err(); err != nil {
		s.t.Fatal(err)
	}
	if len(all) == 0 {
		s.t.Fatalf("%s has nothing of %s", name, s.account)
	}
	return all
}

// right is one verb on one kind of object, by name where the rule has names.
type right struct{ Verb, Group, Resource, Name string }

func (r right) String() string {
	text := r.Verb + " " + r.Resource
	if r.Group != "" {
		text += "." + r.Group
	}
	if r.Name != "" {
		text += " " + r.Name
	}
	return text
}

// rightsOf are all that rules allow.
func rightsOf(rules []rbacv1.PolicyRule) (rights []right) {
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					for _, name := range names {
						rights = append(rights, right{verb, group, resource, name})
					}
				}
			}
		}
	}
	return rights
}

// allows reports whether a right is enough for what was asked.
func (s *space) allows(r right, a asked) bool {
	o := a.ObjectRef
	// Of a Namespace itself the audit log has the name in both fields.
	return o != nil && r.Verb == a.Verb && r.Group == o.APIGroup && r.Resource == a.what() &&
		o.Namespace == s.name && (r.Name == "" || r.Name == o.Name)
}

// wantsNothingRefused wants that the account has asked for what its Role allows,
// and that nothing was refused, but by an API server that has just begun and
// knows no roles yet.
func (s *space) wantsNothingRefused() {
	s.t.Helper()
	rights, strange, early := rightsOf(s.role.Rules), map[string]int{}, 0
	for _, a := range s.audit() {
		switch allowed := slices.ContainsFunc(rights, func(r right) bool { return s.allows(r, a) }); {
		case allowed && a.ResponseStatus.Code == 403 && a.StageTimestamp.After(s.left) && a.StageTimestamp.Before(s.back.Add(rolesTake)):
			early++
		case a.ResponseStatus.Code == 401, a.ResponseStatus.Code == 403:
			s.t.Errorf("refused with %d: %s %s", a.ResponseStatus.Code, a.Verb, a.RequestURI)
		case !allowed:
			strange[a.Verb+" "+a.RequestURI]++
		}
	}
	if early > 0 {
		figure(s.t, "%d requests were refused before the API server knew its roles", early)
	}
	for what, times := range strange {
		s.t.Errorf("asked %d times for what the chart's Role does not have: %s", times, what)
	}
}

// wantsAllUsed wants that each right of the Role was used, but for those that are
// rare, with the reason.
func (s *space) wantsAllUsed(rare map[string]string) {
	s.t.Helper()
	log, used := s.audit(), map[string]int{}
	for _, r := range rightsOf(s.role.Rules) {
		n := 0
		for _, a := range log {
			if s.allows(r, a) {
				n++
			}
		}
		used[r.String()] = n
		switch reason := rare[r.String()]; {
		case n == 0 && reason == "":
			s.t.Errorf("nothing used the right to %s", r)
		case n == 0:
			s.t.Logf("not used: %s: %s", r, reason)
		case reason != "":
			s.t.Logf("used after all: %s", r)
		}
	}
	for what := range rare {
		if _, known := used[what]; !known {
			s.t.Errorf("the Role has no right to %s, and it is named as rare", what)
		}
	}
	for _, what := range slices.SortedFunc(maps.Keys(used), func(a, b string) int { return cmp.Compare(used[b], used[a]) }) {
		figure(s.t, "%d × %s", used[what], what)
	}
}
