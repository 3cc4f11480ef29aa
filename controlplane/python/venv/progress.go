package venv

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Words say how far the making of an environment is, for people: 0 to 100 percent.
type Words struct {
	Percent int
	Text    string
}

// How the time of a build is shared out, in percent: an environment is made up
// to madePercent, packages are found and downloaded up to collectedPercent.
const (
	madePercent      = 10
	collectedPercent = 70
	installedPercent = 99
)

// Progress follows a build: what pip writes, and which packages are there. What
// it says never goes back. Pip tells in advance what it installs, but not what
// it collects: packages want others. So the end of that is taken to be near when
// as many are there as requirements.txt names.
type Progress struct {
	Wanted int         // how many packages are named, at least
	Say    func(Words) // is told of each step forward

	site string // the folder that packages are installed to

	collected int     // the present one included
	fetched   float64 // of the present one, 0 to 1
	names     []string
	last      Words
}

// begin begins a step.
func (p *Progress) begin(percent int, text string) { p.tell(float64(percent), text) }

func (p *Progress) tell(percent float64, text string) {
	now := Words{max(p.last.Percent, int(percent)), text}
	if now != p.last {
		p.last = now
		p.Say(now)
	}
}

var (
	collecting = regexp.MustCompile(`^(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9][A-Za-z0-9._-]{0,99})`)
	processing = regexp.MustCompile(`^Processing (?:\S*/)?([A-Za-z0-9][A-Za-z0-9._]{0,99})\S*`)
	fetching   = regexp.MustCompile(`^\s*Progress (\d+) of (\d+)\s*$`)
	building   = regexp.MustCompile(`^\s*Building wheel for ([A-Za-z0-9][A-Za-z0-9._-]{0,99}) .*: started`)
	named      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
)

const toInstall = "Installing collected packages: "

// Line takes in a line of pip's, and reports whether it is for programs alone.
func (p *Progress) Line(text string) (forPrograms bool) {
	text = strings.TrimRight(text, "\r\n")
	if m := fetching.FindStringSubmatch(text); m != nil {
		got, _ := strconv.ParseFloat(m[1], 64)
		if of, _ := strconv.ParseFloat(m[2], 64); of > 0 {
			p.fetched = min(1, got/of)
			p.tell(p.share(), p.last.Text)
		}
		return true
	}
	for _, begins := range []*regexp.Regexp{collecting, processing} {
		if m := begins.FindStringSubmatch(text); m != nil {
			p.collected, p.fetched, p.names = p.collected+1, 0, nil
			p.tell(p.share(), fmt.Sprintf("collecting %s (%d so far)", m[1], p.collected))
			return false
		}
	}
	if m := building.FindStringSubmatch(text); m != nil {
		p.tell(p.share(), "building "+m[1])
	}
	if names, ok := strings.CutPrefix(text, toInstall); ok {
		all := strings.Split(names, ", ")
		if slices.ContainsFunc(all, func(name string) bool { return !named.MatchString(name) }) {
			return false // packages write what they like, and visitors would read it
		}
		p.names = all
		p.Look()
	}
	return false
}

// share is how far the collecting is, in percent of all.
func (p *Progress) share() float64 {
	done := max(0, float64(p.collected-1)+p.fetched) / float64(max(p.Wanted, p.collected, 1))
	return madePercent + (collectedPercent-madePercent)*done
}

// Look finds which of the packages are installed that pip has announced.
func (p *Progress) Look() {
	if len(p.names) == 0 {
		return
	}
	entries, err := os.ReadDir(p.site)
	if err != nil {
		return
	}
	there := map[string]bool{}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".dist-info"); ok {
			name, _, _ = strings.Cut(name, "-")
			there[canonical(name)] = true
		}
	}
	done, next := 0, ""
	for _, name := range p.names {
		switch {
		case there[canonical(name)]:
			done++
		case next == "":
			next = name
		}
	}
	of := len(p.names)
	if next == "" {
		next = p.names[of-1]
	}
	p.tell(collectedPercent+(installedPercent-collectedPercent)*float64(done)/float64(of),
		fmt.Sprintf("installing %s (%d of %d)", next, min(done+1, of), of))
}

var separators = regexp.MustCompile(`[-_.]+`)

// canonical is a package's name as all its spellings have it (PEP 503).
func canonical(name string) string {
	return separators.ReplaceAllString(strings.ToLower(name), "-")
}

// sitePackages is where an environment's packages are.
func sitePackages(env string) string {
	found, err := fs.Glob(os.DirFS(env), "lib/python*/site-packages")
	if err != nil || len(found) == 0 {
		return ""
	}
	return filepath.Join(env, found[0])
}

// TellsRaw reports whether the pip that is installed there knows
// --progress-bar=raw, which came with 24.1. With an older one the progress of a
// download is not known.
func TellsRaw(site string) bool {
	found, err := fs.Glob(os.DirFS(site), "pip-*.dist-info")
	if err != nil || len(found) == 0 {
		return false
	}
	var major, minor int
	if n, _ := fmt.Sscanf(found[0], "pip-%d.%d", &major, &minor); n != 2 {
		return false
	}
	return major > 24 || major == 24 && minor >= 1
}
