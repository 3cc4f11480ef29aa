// Package chromium is the real Chromium of the tests below test/: browsers and
// profiles that end with their test, and tabs in which a test does what a person
// does, sees what they see, and hears what the browser complains of. It needs a
// chromium in PATH. It is given no network but this machine.
package chromium
