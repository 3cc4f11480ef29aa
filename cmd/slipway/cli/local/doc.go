// Package local runs a bundle on this machine as the platform would, without a
// server (spec interfaces.md §1, exec): modes python, wave and binary.
//
// What an app finds is what spec apps.md §4 says: the bundle unpacked into a new
// folder, which it runs in; HOME and TMPDIR that are new too; the variables of
// the platform, of [[Env]] and PATH and LANG, and nothing else of the
// environment; the [[File]] entries with relative paths; its Python packages in
// a virtual environment that is made once for equal lists. All but that last is
// taken away when the app has ended.
//
// Other than on the platform: there is no API, so that the token's file is
// empty; its IDs are made of the app's name and version, so that they are the
// same each time; absolute [[File]] paths and volumes are not there, since they
// need a mount namespace; no limits hold; and secrets come from --env or from
// the variable of the same name here. Each of these that an app asks for is
// said once.
package local
