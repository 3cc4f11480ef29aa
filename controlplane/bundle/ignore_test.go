package bundle

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ignoreTree is the folder of every case of TestIgnoreRules.
var ignoreTree = []string{
	"a.log", "keep.log", "sub/a.log", "sub/deep/a.log", "build/x", "sub/build/x", "doc/one.txt", "doc/two.txt", "doc/in/one.txt",
	"#x", "!x", "sp ace", "trail", "trail ", "a1", "a2", "ab", "foo/bar/baz", "foo/x/y/baz", "Upper", "dir/file", "dir/other",
}

var ignoreRules = []struct{ name, rules, left string }{
	{"a name at any depth", "a.log", "a.log sub/a.log sub/deep/a.log"},
	{"a glob", "*.log", "a.log keep.log sub/a.log sub/deep/a.log"},
	{"taken back", "*.log\n!keep.log", "a.log sub/a.log sub/deep/a.log"},
	{"the last one counts", "!a.log\na.log", "a.log sub/a.log sub/deep/a.log"},
	{"at the root alone", "/a.log", "a.log"},
	{"a slash within anchors", "sub/a.log", "sub/a.log"},
	{"folders alone", "build/", "build/x sub/build/x"},
	{"no file is a folder", "a1/", ""},
	{"a folder below the root", "/build/", "build/x"},
	{"a star stops at a slash", "doc/*.txt", "doc/one.txt doc/two.txt"},
	{"two stars in the middle", "foo/**/baz", "foo/bar/baz foo/x/y/baz"},
	{"two stars before", "**/deep", "sub/deep/a.log"},
	{"two stars behind", "doc/**", "doc/in/one.txt doc/one.txt doc/two.txt"},
	{"a question mark", "a?", "a1 a2 ab"},
	{"a range", "a[0-9]", "a1 a2"},
	{"not in a range", "a[!0-9]", "ab"},
	{"a comment", "# a.log", ""},
	{"a quoted hash", `\#x`, "#x"},
	{"a quoted exclamation mark", `\!x`, "!x"},
	{"spaces at the end do not count", "trail  ", "trail"},
	{"a quoted space does", `trail\ `, "trail "},
	{"a space within", "sp ace", "sp ace"},
	{"case counts", "upper", ""},
	{"line ends of Windows", "a1\r\na2\r\n", "a1 a2"},
	{"empty lines", "\n\n  \na1\n", "a1"},
	{"a file of a folder that is left out stays so", "dir/\n!dir/file", "dir/file dir/other"},
	{"a file of a folder is taken back", "dir/*\n!dir/file", "dir/other"},
}

// wholeTree writes ignoreTree.
func wholeTree(t *testing.T, more map[string]string) string {
	files := map[string]string{"app.toml": goodManifest}
	for _, name := range ignoreTree {
		files[name] = ""
	}
	for name, text := range more {
		files[name] = text
	}
	return tempFolder(t, files)
}

func TestIgnoreRules(t *testing.T) {
	for _, tt := range ignoreRules {
		t.Run(tt.name, func(t *testing.T) {
			_, _, names := packed(t, wholeTree(t, map[string]string{".appignore": tt.rules}))
			var left []string
			for _, name := range ignoreTree {
				if !slices.Contains(names, name) {
					left = append(left, name)
				}
			}
			slices.Sort(left)
			if got := strings.Join(left, " "); got != tt.left {
				t.Errorf("it leaves out %q, want %q", got, tt.left)
			}
		})
	}
}

// TestIgnoreRulesAreGits asks git itself what the table says.
func TestIgnoreRulesAreGits(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("there is no git to compare with")
	}
	for _, tt := range ignoreRules {
		t.Run(tt.name, func(t *testing.T) {
			dir := wholeTree(t, map[string]string{".gitignore": tt.rules})
			cmd := exec.Command(git, "init", "-q")
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatal(err, string(out))
			}
			cmd = exec.Command(git, "-c", "core.quotePath=false", "ls-files", "-z", "--others", "--ignored", "--exclude-standard")
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "HOME="+dir, "XDG_CONFIG_HOME="+filepath.Join(dir, "none"))
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			left := strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
			slices.Sort(left)
			if got := strings.Join(left, " "); got != tt.left {
				t.Errorf("git leaves out %q, the table says %q", got, tt.left)
			}
		})
	}
}

func TestPackLeavesOutWhatToolsMake(t *testing.T) {
	files := map[string]string{
		"app.toml": goodManifest, "app.py": "", "__pycache__/app.pyc": "", "pkg/__pycache__/x.cpython-311.pyc": "", "pkg/old.pyc": "",
		"env/pyvenv.cfg": "", "env/bin/python": "", "deep/.venv/pyvenv.cfg": "", ".pytest_cache/x": "", ".DS_Store": "", "node_modules/x.js": "",
	}
	_, _, names := packed(t, tempFolder(t, files))
	if want := []string{"app.py", "app.toml", "node_modules/x.js"}; !slices.Equal(names, want) {
		t.Errorf("packed %q, want %q", names, want)
	}
	files[".appignore"] = "!*.pyc\n!__pycache__/\nnode_modules\n"
	_, _, names = packed(t, tempFolder(t, files))
	if want := []string{".appignore", "__pycache__/app.pyc", "app.py", "app.toml", "pkg/__pycache__/x.cpython-311.pyc", "pkg/old.pyc"}; !slices.Equal(names, want) {
		t.Errorf("packed %q, want %q", names, want)
	}
}
