package deploy

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheChartGrantsWhatTheLauncherNeeds compares the chart's Role with the list
// that the launcher's page gives to those who write a Role of their own.
func TestTheChartGrantsWhatTheLauncherNeeds(t *testing.T) {
	page := read(t, "../docs/kubernetes-launcher.md")
	_, page, _ = strings.Cut(page, "\n## What it may\n")
	page, _, _ = strings.Cut(page, "\n## ")
	told := rights{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z/]+)`[^|]*\\| (.*) \\|$").FindAllStringSubmatch(page, -1) {
		told.add(row[1], regexp.MustCompile(` \([^)]*\)`).ReplaceAllString(row[2], ""))
	}
	if strings.Contains(page, "`update` of `configmaps/finalizers`") {
		told.add("configmaps/finalizers", "update")
	}
	granted := rights{}
	chart := read(t, "helm/slipway/templates/rbac.yaml")
	for _, rule := range regexp.MustCompile(`(?m)^  resources: \[(.*)\]\n(?:  resourceNames: .*\n)?  verbs: \[(.*)\]$`).FindAllStringSubmatch(chart, -1) {
		granted.add(rule[1], rule[2])
	}
	if rules := strings.Count(chart, "verbs:"); len(granted) == 0 || rules != granted.rules() {
		t.Fatalf("%d rules of %d were read", granted.rules(), rules)
	}
	if diff := cmp.Diff(told.verbs(), granted.verbs()); diff != "" {
		t.Errorf("docs/kubernetes-launcher.md (-), and the chart's Role (+):\n%s", diff)
	}
}

// rights are lists of verbs by resource.
type rights map[string][]string

func (r rights) add(resource, verbs string) { r[resource] = append(r[resource], verbs) }

// rules is how many lists there are.
func (r rights) rules() (n int) {
	for _, lists := range r {
		n += len(lists)
	}
	return n
}

// verbs are the verbs of each resource, sorted.
func (r rights) verbs() map[string][]string {
	all := map[string][]string{}
	for resource, lists := range r {
		for _, list := range lists {
			all[resource] = append(all[resource], strings.Split(list, ", ")...)
		}
		slices.Sort(all[resource])
	}
	return all
}
