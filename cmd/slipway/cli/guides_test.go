package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli/local"
	"github.com/seed-dbc68772/slipway/controlplane"
)

// guideBlocks are the blocks of the guides with a command, by file and line.
var guideBlocks = sync.OnceValue(func() map[string]string {
	archive, err := txtar.ParseFile("testdata/guides.txtar")
	if err != nil {
		panic(err)
	}
	blocks := map[string]string{}
	for _, f := range archive.Files {
		blocks[f.Name] = string(f.Data)
	}
	return blocks
})

// printed is what a block shows that its command printed.
func printed(block string) string {
	_, text, _ := strings.Cut(block, "\n")
	return text
}

// otherBlocks are the blocks of the guides that no command printed, and the
// ones that a test of its own compares.
var otherBlocks = map[string]string{
	"h2o-developer-guide.md:27":         "a manifest: controlplane/bundle/testdata/guide.toml",
	"h2o-developer-guide.md:248":        "TestExecBeginsAsInTheGuides: its lines name paths in a container, which is not there",
	"h2o-developer-guide.md:329":        "a part of an app, in Python",
	"q8s-developer-guide.md:27":         "a manifest: testdata/script/compat-apps.txtar packs it",
	"q8s-developer-guide.md:220":        "TestExecBeginsAsInTheGuides",
	"q8s-developer-guide.md:290":        "a part of an app, in Python",
	"app-store-developer-guide.txt:33":  "a manifest: controlplane/bundle/testdata/guide.toml",
	"app-store-developer-guide.txt:247": "a part of a manifest, and of an app in Python",
	"app-store-developer-guide.txt:335": "a manifest: testdata/script/compat-apps.txtar imports it",
	"app-store-developer-guide.txt:361": "a setting of the App Store's server, here allowed_images",
	"app-store-developer-guide.txt:363": "a manifest: testdata/script/compat-apps.txtar imports it",
	"app-store-developer-guide.txt:376": "a command in the prose: testdata/script/compat-apps.txtar",
}

// TestEveryBlockOfTheGuidesIsPrinted holds that each block is compared by a
// script, with the line
//
//	guide FILE:LINE
//
// or is one of otherBlocks. Where SLIPWAY_GUIDES names the folder of the guides
// it holds that no block is missing, and that each is there as it is.
func TestEveryBlockOfTheGuidesIsPrinted(t *testing.T) {
	blocks := guideBlocks()
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	compared := map[string]bool{}
	for _, name := range scripts {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)^guide (\S+)`).FindAllStringSubmatch(string(text), -1) {
			compared[found[1]] = true
		}
	}
	for at := range blocks {
		if compared[at] == (otherBlocks[at] != "") {
			t.Errorf("%s is compared by a script: %v; otherBlocks says %q", at, compared[at], otherBlocks[at])
		}
	}
	for at := range compared {
		if blocks[at] == "" {
			t.Errorf("a script compares %s, which is no block", at)
		}
	}
	folder := os.Getenv("SLIPWAY_GUIDES")
	if folder == "" {
		return
	}
	for at, text := range blocksOfFolder(t, folder) {
		if blocks[at] == "" && otherBlocks[at] == "" {
			t.Errorf("%s is missing: %s", at, text)
		}
		if have := blocks[at]; have != "" && have != text {
			t.Errorf("%s is %q, and here %q", at, text, have)
		}
	}
}

// blocksOfFolder reads the guides: fenced blocks, and in the text without fences
// the lines that begin with a command, with what follows as far as it is known
// to be printed.
func blocksOfFolder(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := map[string]string{}
	lines := func(name string) []string {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(string(text), "\n")
	}
	for _, name := range []string{"h2o-developer-guide.md", "q8s-developer-guide.md"} {
		all := lines(name)
		for i := 0; i < len(all); i++ {
			if !strings.HasPrefix(all[i], "```") {
				continue
			}
			end := i + 1 + slices.Index(all[i+1:], "```")
			at := i + 1 // the fence's line, from 1
			if strings.HasPrefix(all[i+1], "$ ") {
				at++
			}
			found[position(name, at)] = strings.Join(all[i+1:end], "\n") + "\n"
			i = end
		}
	}
	const name = "app-store-developer-guide.txt"
	blocks, all := guideBlocks(), lines(name)
	for i, line := range all {
		if strings.HasPrefix(line, "$ ") || strings.HasPrefix(line, "h2o ") {
			n := max(1, strings.Count(blocks[position(name, i+1)], "\n"))
			found[position(name, i+1)] = strings.Join(all[i:i+n], "\n") + "\n"
		}
	}
	return found
}

func position(name string, line int) string {
	return name + ":" + strconv.Itoa(line)
}

var spaces = regexp.MustCompile(`[ ]+`)

// inGuide is text as it is compared with a block: of the guide without columns
// with one space for many, and of Q8s's with the IDs that fit its columns.
func inGuide(at, text string) string {
	switch {
	case strings.HasPrefix(at, "app-store-developer-guide.txt"):
		text = spaces.ReplaceAllString(text, " ")
	case strings.HasPrefix(at, "q8s-"):
		text = regexp.MustCompile(`\b([0-9a-f]{8})[0-9a-f](-[0-9a-f]{4}-)`).ReplaceAllString(text, "$1$2")
	}
	return text
}

// asBlock reports whether the output is that of a block, in which "..." stands
// for more of the same.
func asBlock(block, output string) bool {
	begin, more := strings.CutPrefix(block, "...\n")
	begin, open := strings.CutSuffix(begin, "...\n")
	switch {
	case more && open:
		return strings.Contains("\n"+output, "\n"+begin)
	case open:
		return strings.HasPrefix(output, begin)
	}
	return output == block
}

// runGuide is the command guide FILE:LINE [VALUE]... of scripts: it runs the
// command of a block, with the values in the place of what the block has in
// angle brackets, and compares what it prints.
func runGuide(ts *testscript.TestScript, neg bool, args []string) {
	at := args[0]
	block, ok := guideBlocks()[at]
	if neg || !ok {
		ts.Fatalf("there is no block %s", at)
	}
	line, _, _ := strings.Cut(strings.TrimPrefix(block, "$ "), "\n")
	command := regexp.MustCompile("<[^>]*>").ReplaceAllStringFunc(strings.TrimSuffix(line, "`"), func(string) string {
		args = args[1:]
		return args[0]
	})
	words := strings.Fields(inGuide(at, command))
	out := &syncBuffer{}
	runProgram(ts, words[0], false, words[1:], out)
	if want, got := inGuide(at, printed(block)), inGuide(at, out.String()); want != "" && !asBlock(want, got) {
		ts.Fatalf("%s\nprinted:\n%s\nthe guide has:\n%s", command, got, want)
	}
}

func TestAsBlock(t *testing.T) {
	tests := []struct {
		name, block, output string
		want                bool
	}{
		{"equal", "a\nb\n", "a\nb\n", true},
		{"longer", "a\nb\n", "a\nb\nc\n", false},
		{"goes on", "a\nb\n...\n", "a\nb\nc\n", true},
		{"shorter", "a\nb\n...\n", "a\n", false},
		{"in the middle", "...\na\n...\n", "x\na\ny\n", true},
		{"at the beginning", "...\na\n...\n", "a\ny\n", true},
		{"within a line", "...\na\n...\n", "xa\ny\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if asBlock(tt.block, tt.output) != tt.want {
				t.Error(!tt.want)
			}
		})
	}
}

func TestExecBeginsAsInTheGuides(t *testing.T) {
	tests := []struct{ at, program, bundle, server string }{
		{"h2o-developer-guide.md:248", "h2o", "q-peak.0.1.2.wave", "/wave/wave"},
		{"q8s-developer-guide.md:220", "q8s-cli", "q-peak.0.1.2.qz", "/qd/qd"},
	}
	for _, tt := range tests {
		t.Run(tt.at, func(t *testing.T) {
			p := testProgram(IO{Program: tt.program})
			p.now = func() time.Time { return guideTime.Add(14*time.Minute + 18*time.Second) }
			m := &controlplane.Manifest{Runtime: controlplane.Runtime{Module: "peak"}}
			got := string(p.execLines(m, local.Begun{App: "/app", Packages: "/resources", Server: tt.server, Temp: "/tmp"}, tt.bundle, 55555))
			want := strings.Replace(printed(guideBlocks()[tt.at]), "latest-20200929", buildVersion(), 1)
			if !asBlock(want, got) {
				t.Errorf("%s\nthe guide has\n%s", got, want)
			}
		})
	}
}

// TestTheCommandsOfTheDocsAreTaken holds that the program takes every command
// that docs/app-store.md shows, with its flags and as many arguments.
func TestTheCommandsOfTheDocsAreTaken(t *testing.T) {
	text, err := os.ReadFile("../../../docs/app-store.md")
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for _, fence := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(fence[1]) {
			line, _, _ = strings.Cut(line, "#")
			line, _, _ = strings.Cut(line, "<")
			words := strings.Fields(line)
			if len(words) == 0 || words[0] != "h2o" && words[0] != "q8s-cli" {
				continue
			}
			known++
			p := testProgram(IO{Program: words[0]})
			c, rest, err := p.root(nil).Find(p.compatArgs(words[1:]))
			if err == nil {
				err = c.ParseFlags(rest)
			}
			if err == nil {
				err = c.ValidateArgs(c.Flags().Args())
			}
			if err == nil && c.HasSubCommands() && len(c.Flags().Args()) > 0 {
				err = unknownCommand(c, c.Flags().Args()[0])
			}
			if err != nil {
				t.Errorf("%s: %v", strings.TrimSpace(line), err)
			}
		}
	}
	if known < 20 {
		t.Errorf("only %d commands", known)
	}
}
