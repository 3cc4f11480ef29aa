// Package cli is the command line (spec interfaces.md §1): commands that talk
// to the HTTP API, and those of a bundle's author. It knows neither the edge
// nor the control plane; main adds their commands to the same tree.
//
// Output. Data goes to stdout and everything else to stderr. Lists are tables,
// single things blocks of fields as the App Store prints them. On a terminal
// tables are aligned and cut to its width, with ages; piped they are separated
// by tabs, uncut, with RFC 3339 times, and the header row stays. With -o json
// and -o yaml it is the API's own JSON. Text that comes from a server is shown
// with its control characters replaced, so that an app's title cannot drive
// the terminal; logs keep their colours on a terminal, and piped all bytes.
//
// Errors. One printer writes them all, as "error:", the faults, "hint:"; with
// -o json, as a problem document (RFC 9457). The exit code follows from the
// error: see [ExitDone] and its neighbours. A command of main's chooses its
// own by an error with ExitCode() int.
//
// Configuration. The first of --config, SLIPWAY_CONFIG, ./.slipway/cli.toml and
// ~/.slipway/config.toml; see [ReadContext] and [WriteContext]. SLIPWAY_ENDPOINT
// and SLIPWAY_TOKEN override it; a file's token is sent to the file's endpoint
// only. Signing in and out writes the same file, by rename and with mode 0600.
// Tokens are read from standard input, never from the command line, and no
// message repeats one.
//
// Names. Started as h2o or q8s-cli, by a link, it speaks as the App Store's
// command line: see [IO.Name], compat.go, and the blocks of the guides in
// testdata/guides.txtar, which scripts compare byte for byte. Help and hints name
// the program as it was started.
package cli
