// Package h2oconfig reads and changes the configuration file of the App
// Store's command line, ~/.h2oai/h2o-cli-config.toml: TOML with strings at its
// top, of which Slipway uses Endpoint and Token. A change touches the values
// that it is about and leaves the rest of the file as it is, byte for byte:
// other keys, tables, comments, order and line ends.
//
// Names of keys are read in any case, as the older command lines did. A key
// that is there twice in different cases is an error, and so is one of the six
// that is no string.
package h2oconfig
