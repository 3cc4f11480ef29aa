package bundle

import (
	"bytes"
	"path"
	"regexp"
	"strings"
)

// namesWave reports whether requirements.txt names h2o-wave, or one of its
// family, which all bring it (h2o-wave-ml, h2o-wave-university), or a wheel of
// those in the bundle. What another package brings is not known here: who wants
// that names h2o-wave beside it. The lines have been checked.
func namesWave(data []byte) bool {
	for _, line := range joinLines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
		s := stripComment(line.text)
		if first, _, _ := strings.Cut(s, " "); strings.HasSuffix(first, ".whl") {
			s, _, _ = strings.Cut(path.Base(first), "-")
		}
		name := separators.ReplaceAllString(strings.ToLower(projectName.FindString(s)), "-")
		if name == "h2o-wave" || strings.HasPrefix(name, "h2o-wave-") {
			return true
		}
	}
	return false
}

// separators are all the same in the name of a project (PEP 503).
var separators = regexp.MustCompile(`[-_.]+`)
