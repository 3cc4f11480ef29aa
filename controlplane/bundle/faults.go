package bundle

import (
	"fmt"
	"unicode/utf8"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Codes of the faults that refuse a bundle. They are stable.
const (
	CodeNotAZip         = "not_a_zip"
	CodeSurroundingData = "surrounding_data" // before, between or after the entries
	CodeOverlap         = "overlap"          // two entries share bytes
	CodeTruncated       = "truncated"        // a record ends outside the archive
	CodeTooManyEntries  = "too_many_entries"
	CodeTooLarge        = "too_large"
	CodeRatio           = "ratio"
	CodeEntryPath       = "entry_path"
	CodeDuplicate       = "duplicate_entry" // the same path, in any case, or a file and a folder of one name
	CodeSymlink         = "symlink"
	CodeSpecialFile     = "special_file" // devices, sockets, set-user-ID
	CodeEncrypted       = "encrypted"
	CodeMethod          = "method"
	CodeHeaderMismatch  = "header_mismatch" // two places of the archive disagree
	CodeSize            = "size"            // an entry is not as long as it says
	CodeChecksum        = "checksum"
	CodeNoManifest      = "no_manifest"
	CodeManifest        = "manifest"           // a value of app.toml breaks its rule
	CodeManifestSyntax  = "manifest_syntax"    // not TOML
	CodeManifestKey     = "manifest_duplicate" // the same key twice
	CodeManifestRender  = "manifest_template"  // a value breaks its rule and looks like a template
	CodeRequirements    = "requirements"
	CodePackages        = "packages"
	CodeUnreadable      = "unreadable" // Pack: a file that cannot be read
)

// Codes of warnings.
const (
	WarnUnknownKey    = "unknown_key"
	WarnIgnored       = "ignored"           // the app's mode does not use it
	WarnVersion       = "version_coerced"   // not semver as written
	WarnTwoManifests  = "two_manifests"     // q-app.toml beside app.toml
	WarnDuplicateEnv  = "duplicate_env"     // the last one wins
	WarnCategory      = "unknown_category"  // has no tag
	WarnModule        = "module_name"       // looks like a file's name
	WarnNotExecutable = "not_executable"    // the file that AppEntryPoint runs
	WarnSources       = "unexpected_source" // LINK and container apps
	WarnIcon          = "icon"              // it cannot be used
	WarnScreenshot    = "screenshot"        // likewise
	WarnDescription   = "long_description"  // likewise
	WarnServer        = "server_decides"    // Options.AnyServer
)

const (
	maxFaults    = 100
	maxValueSize = 200
)

// faults collects what is wrong with one bundle.
type faults struct {
	list     []controlplane.Fault
	warnings []controlplane.Fault
	dropped  int
}

func (f *faults) add(x controlplane.Fault) {
	if f.full() {
		return
	}
	x.Value, x.Where = cut(x.Value), cut(x.Where)
	f.list = append(f.list, x)
}

// full reports that no more faults are listed, and counts the one that would
// have been: whoever asks first saves finding its position.
func (f *faults) full() bool {
	if len(f.list) < maxFaults {
		return false
	}
	f.dropped++
	return true
}

func (f *faults) warn(x controlplane.Fault) {
	x.Value, x.Where = cut(x.Value), cut(x.Where)
	if len(f.warnings) < maxFaults {
		f.warnings = append(f.warnings, x)
	}
}

// err is nil without faults. The sentence is the first fault. It has the warnings
// too: an unknown key may be the cause of a fault.
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	e := refusal(f.list...)
	e.Warnings = f.warnings
	if more := len(f.list) - 1 + f.dropped; more > 0 {
		e.What += fmt.Sprintf("; and %d more", more)
	}
	return e
}

// refusal is the error of a bundle that breaks a rule.
func refusal(list ...controlplane.Fault) *controlplane.Error {
	return &controlplane.Error{
		Code:   controlplane.CodeInvalid,
		What:   "refuse bundle: " + list[0].String(),
		Faults: list,
	}
}

// refuse is a refusal for one structural fault.
func refuse(code, where, format string, args ...any) *controlplane.Error {
	return refusal(controlplane.Fault{Code: code, Where: cut(where), Message: fmt.Sprintf(format, args...)})
}

func tooLarge(size, limit int64) *controlplane.Error {
	e := refuse(CodeTooLarge, "", "the archive has %d bytes, the limit is %d", size, limit)
	e.Code = controlplane.CodeTooLarge
	return e.WithHint("name what the app does not need in .appignore, or ask an admin for a higher bundle_limits upload")
}

// broken is for what is nobody's fault but the machine's.
func broken(what string, cause error) *controlplane.Error {
	return &controlplane.Error{Code: controlplane.CodeInternal, What: what, Cause: cause}
}

// cut shortens s to what a fault may quote, between two characters.
func cut(s string) string {
	if len(s) <= maxValueSize {
		return s
	}
	n := maxValueSize
	for n > maxValueSize-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
