// Package venv makes the virtual environment of a bundle's requirements.txt and
// wheels: with wheels in the bundle offline first, from the index that pip is
// set to else. What the steps are run by, and as whom, is the caller's: packages
// bring code that runs then.
package venv
