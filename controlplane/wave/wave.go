// Package wave has what every program needs that runs an app of H2O Wave: the
// launcher of a server, and a command line that runs a bundle by itself.
package wave

import _ "embed"

// App is the program, in Python, that runs a Wave app's module. Its argument is
// the module's name. h2o_wave's own @app of the module is served at
// H2O_WAVE_APP_ADDRESS once the module has run to its end.
//
//go:embed app.py
var App []byte
