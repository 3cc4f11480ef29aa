package bundle

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// logicalLine is a line after continuations are joined, with the number of its
// first one.
type logicalLine struct {
	number int
	text   string
}

// joinLines joins lines that end in a backslash, as pip does: a comment line
// never continues, and ends what it stands in.
func joinLines(data []byte) []logicalLine {
	var out []logicalLine
	var parts []string
	first := 0
	n := 0
	for raw := range bytes.Lines(data) {
		n++
		line := strings.TrimRight(string(raw), "\r\n")
		comment := strings.HasPrefix(strings.TrimSpace(line), "#")
		if len(parts) == 0 {
			first = n
		}
		if strings.HasSuffix(line, `\`) && !comment {
			parts = append(parts, strings.TrimSuffix(line, `\`))
			continue
		}
		if comment {
			line = " " + line
		}
		out = append(out, logicalLine{first, strings.Join(append(parts, line), "")})
		parts = nil
	}
	if len(parts) > 0 {
		out = append(out, logicalLine{first, strings.Join(parts, "")})
	}
	return out
}

// stripComment drops what follows a # at the beginning or after a space.
func stripComment(s string) string {
	for i := range len(s) {
		if s[i] == '#' && (i == 0 || s[i-1] == ' ' || s[i-1] == '\t') {
			s = s[:i]
			break
		}
	}
	return strings.Trim(s, " \t")
}

// checkRequirements checks requirements.txt (spec apps.md §4) and reports
// whether it asks for anything. A line is a PEP 508 requirement by name, or
// the path of a wheel in the bundle, each with hashes if wanted: nothing that
// pip would take for an option or fetch from an address.
func checkRequirements(data []byte, has func(string) bool, f *faults) bool {
	file := lineFile{"requirements.txt", CodeRequirements, joinLines}
	if n := otherEncoding(data); n > 0 {
		f.add(controlplane.Fault{
			Code: CodeRequirements, Where: file.name, Line: n, Column: 1,
			Message: "refused: declares another encoding than UTF-8", Hint: "take the comment out, and save the file as UTF-8",
		})
	}
	return file.check(data, f, func(s string) (string, string) {
		return checkRequirement(s, has)
	})
}

// lineFile is a file in which each line says something by itself.
type lineFile struct {
	name, code string // the code is that of its faults
	split      func([]byte) []logicalLine
}

// endsLine reports control characters and whatever else a reader may take for
// the end of a line, and what follows for the next one: pip does so of all of
// Unicode's (Python's str.splitlines).
func endsLine(r rune) bool {
	return unicode.IsControl(r) && r != '\t' || r == '\u2028' || r == '\u2029'
}

// pipEncoding is how pip finds the encoding that a comment in one of the first
// two lines declares.
var pipEncoding = regexp.MustCompile(`coding[:=]\s*([-\w.]+)`)

// otherEncoding is the number of the line that has pip read the file otherwise
// than as UTF-8, or 0. In UTF-7 a comment can be an option.
func otherEncoding(data []byte) int {
	n := 0
	for line := range bytes.Lines(data) {
		if n++; n > 2 {
			break
		}
		if m := pipEncoding.FindSubmatch(line); m != nil && line[0] == '#' {
			if name := strings.ToLower(string(m[1])); name != "utf-8" && name != "utf8" {
				return n
			}
			break
		}
	}
	return 0
}

// check applies rule to every line that has something on it, and reports
// whether there was one.
func (l lineFile) check(data []byte, f *faults, rule func(string) (text, hint string)) bool {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	some := false
	for _, line := range l.split(data) {
		text, hint := "", ""
		s := stripComment(line.text)
		switch {
		case !utf8.ValidString(line.text):
			text = "is not UTF-8"
		case strings.ContainsFunc(line.text, endsLine): // in a comment, too
			text = "has a control character"
		case s == "":
			continue
		default:
			text, hint = rule(s)
		}
		some = true
		if text != "" {
			if s == "" { // a comment
				s = strings.TrimSpace(line.text)
			}
			column := utf8.RuneCountInString(line.text[:max(strings.Index(line.text, s), 0)]) + 1
			f.add(controlplane.Fault{Code: l.code, Where: l.name, Line: line.number, Column: column, Value: strings.ToValidUTF8(s, "\ufffd"), Message: "refused: " + cut(strings.ToValidUTF8(s, "\ufffd")) + ": " + text, Hint: hint})
		}
	}
	return some
}

var (
	hashOption  = regexp.MustCompile(`^--hash[= ]\s*(sha256:[0-9a-fA-F]{64}|sha384:[0-9a-fA-F]{96}|sha512:[0-9a-fA-F]{128})(?:[ \t]+|$)`)
	projectName = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?`)
	extrasRule  = regexp.MustCompile(`^\[\s*(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:\s*,\s*[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)*)?\s*\]`)
	versionRule = regexp.MustCompile(`^(?:(?:===\s*[A-Za-z0-9_.*+!-]+)|(?:==|!=)\s*v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*(?:\.\*|` + versionTail + `)|(?:~=|<=|>=|<|>)\s*v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*` + versionTail + `)$`)
	wheelPath   = regexp.MustCompile(`^[A-Za-z0-9._/][A-Za-z0-9._+!/-]*\.whl$`)
	// archive is what pip takes for the path of one, though it be in no folder.
	archive = regexp.MustCompile(`(?i)^[^;]*\.(?:zip|tgz|tbz|txz|tlz|tar(?:\.(?:gz|bz2|xz|lz|lzma))?)\s*(?:\[[^\]]*\])?\s*(?:;|$)`)
	address = regexp.MustCompile(`(?i)^(?:[a-z0-9][a-z0-9._-]*\s*(?:\[[^\]]*\])?\s*@|[a-z][a-z0-9+.-]*:)`)
)

// versionTail is what follows the release of a PEP 440 version.
const versionTail = `(?:[-_.]?(?:a|b|c|rc|alpha|beta|pre|preview)[-_.]?[0-9]*)?(?:-[0-9]+|[-_.]?(?:post|rev|r)[-_.]?[0-9]*)?(?:[-_.]?dev[-_.]?[0-9]*)?(?:\+[A-Za-z0-9]+(?:[-_.][A-Za-z0-9]+)*)?`

// checkRequirement says what is wrong with one line, and how to mend it.
func checkRequirement(s string, has func(string) bool) (text, hint string) {
	if s[0] == '-' {
		return "options are not taken", "list names with versions, or the paths of wheels in the bundle"
	}
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		// pip reads options from the first word on that begins with a dash.
		for rest := strings.TrimLeft(s[i:], " \t"); rest != ""; {
			if rest[0] != '-' {
				_, after, _ := strings.Cut(strings.ReplaceAll(rest, "\t", " "), " ")
				rest = strings.TrimLeft(after, " ")
				continue
			}
			options := rest
			for options != "" {
				m := hashOption.FindString(options)
				if m == "" {
					return "options other than --hash are not taken, and --hash takes sha256, sha384 or sha512", ""
				}
				options = options[len(m):]
			}
			s = strings.TrimRight(s[:len(s)-len(rest)], " \t")
			break
		}
	}
	switch {
	case strings.HasSuffix(s, ".whl") && !strings.Contains(s, "://") && !strings.Contains(s, "@"):
		return checkWheel(s, has)
	case address.MatchString(s) || strings.Contains(s, "://"):
		return "addresses are not taken", "put the wheel into the bundle and write its path, or a name with a version"
	case strings.ContainsAny(s[:1], "./~") || strings.ContainsAny(s, `\$`):
		return "paths are taken of wheels in the bundle only", ""
	case archive.MatchString(s):
		return "archives of sources are not taken", "put a wheel into the bundle and write its path"
	}
	rest := s[len(projectName.FindString(s)):]
	if rest == s {
		return "does not begin with the name of a package", ""
	}
	rest = strings.TrimLeft(rest, " \t")
	if strings.HasPrefix(rest, "[") {
		m := extrasRule.FindString(rest)
		if m == "" {
			return "the extras are wrong", "like name[extra1,extra2]"
		}
		rest = strings.TrimLeft(rest[len(m):], " \t")
	}
	versions, marker, marked := strings.Cut(rest, ";")
	versions = strings.Trim(versions, " \t")
	if strings.HasPrefix(versions, "(") && strings.HasSuffix(versions, ")") {
		versions = strings.Trim(versions[1:len(versions)-1], " \t")
	}
	if versions != "" {
		for v := range strings.SplitSeq(strings.TrimSuffix(versions, ","), ",") {
			if !versionRule.MatchString(strings.Trim(v, " \t")) {
				return "the versions are wrong", "like name>=1.2,<2 or name==1.2.3"
			}
		}
	}
	if marked && !validMarker(marker) {
		return "the marker behind ; is wrong", `like ; python_version < "3.10"`
	}
	return "", ""
}

func checkWheel(s string, has func(string) bool) (text, hint string) {
	switch {
	case strings.HasPrefix(s, "/"):
		return "the path is absolute", "write it relative to the bundle's root"
	case slices.Contains(strings.Split(s, "/"), ".."):
		return `the path has ".."`, "write it relative to the bundle's root"
	case !wheelPath.MatchString(s):
		return "is not the path of a wheel", "letters, digits and . _ + ! - / only"
	case !has(path.Clean(s)):
		return "there is no such file in the bundle", "put the wheel there, and see that .appignore does not name it"
	}
	return "", ""
}

var packageRule = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+(?:=[0-9A-Za-z][0-9A-Za-z.+:~-]*)?$`)

// checkPackages checks packages.txt: one Debian package on a line, optionally
// =version, and comments. It reports whether it asks for anything.
func checkPackages(data []byte, f *faults) bool {
	split := func(data []byte) []logicalLine {
		var out []logicalLine
		for raw := range bytes.Lines(data) {
			out = append(out, logicalLine{len(out) + 1, strings.TrimRight(string(raw), "\r\n")})
		}
		return out
	}
	file := lineFile{"packages.txt", CodePackages, split}
	return file.check(data, f, func(s string) (text, hint string) {
		name, _, _ := strings.Cut(s, "=")
		switch {
		case s[0] == '-':
			return "options are not taken", ""
		case strings.ContainsAny(s, " \t"):
			return "more than one word", "one package on a line"
		case strings.HasSuffix(name, "-"):
			return "apt would remove the package", ""
		case !packageRule.MatchString(s) || len(s) > maxPart:
			return "is not the name of a Debian package", "like libgomp1 or libgomp1=12.2.0-14"
		}
		return "", ""
	})
}
