package up

import (
	"github.com/seed-dbc68772/slipway/controlplane"
)

// fail is an error that says what is wrong; its hint says how to mend it.
func fail(cause error, format string, args ...any) *controlplane.Error {
	if cause != nil {
		format, args = format+": %v", append(args, cause)
	}
	return controlplane.Errorf(controlplane.CodeInternal, format, args...)
}

// usage is fail for wrong flags and settings: exit code 2.
func usage(format string, args ...any) *controlplane.Error {
	return controlplane.Errorf(controlplane.CodeInvalid, format, args...)
}
