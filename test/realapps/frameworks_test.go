package realapps

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// block is a file in a page of documentation: a fence with its language and the
// file's name.
var block = regexp.MustCompile("\n```[a-z]+ (\\S+)\n((?s:.*?\n))```\n")

// framework are the files that docs/frameworks.md gives for one: app.toml,
// start.py, requirements.txt.
func framework(t *testing.T, name string) map[string]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "frameworks.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## "+name+"\n")
	if !found {
		t.Fatalf("docs/frameworks.md has no section %s", name)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	files := map[string]string{}
	for _, m := range block.FindAllStringSubmatch(section, -1) {
		files[m[1]] = m[2]
	}
	for _, want := range []string{"app.toml", "start.py", "requirements.txt"} {
		if files[want] == "" {
			t.Fatalf("docs/frameworks.md gives no %s of %s", want, name)
		}
	}
	return files
}

var (
	nameLine = regexp.MustCompile(`(?m)^Name = "(.*)"$`)
	modeLine = regexp.MustCompile(`(?m)^RoutingMode = ".*"$`)
)

// inMode are the files of an app with another name, for a routing mode.
func inMode(files map[string]string, mode string) map[string]string {
	manifest := nameLine.ReplaceAllString(files["app.toml"], `Name = "${1}-`+strings.ToLower(strings.ReplaceAll(mode, "_", "-"))+`"`)
	return with(files, map[string]string{"app.toml": modeLine.ReplaceAllString(manifest, `RoutingMode = "`+mode+`"`)})
}

// with are the files of an app with these in addition, or instead.
func with(files, more map[string]string) map[string]string {
	all := map[string]string{}
	for _, some := range []map[string]string{files, more} {
		for name, text := range some {
			all[name] = text
		}
	}
	return all
}
