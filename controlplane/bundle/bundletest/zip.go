package bundletest

import (
	"archive/zip"
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Zip is a zip archive of these files, by their names; a name that ends in "*"
// is an executable file. It checks no name: tests make bad archives by it too.
func Zip(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		plain, executable := strings.CutSuffix(name, "*")
		header := &zip.FileHeader{Name: plain, Method: zip.Store}
		header.SetMode(0o644)
		if executable {
			header.SetMode(0o755)
		}
		w, err := archive.CreateHeader(header)
		if err == nil {
			_, err = io.WriteString(w, files[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Wheel is a wheel of version 1.0 for every machine, with one module of its name.
// [WheelFile] names the file that pip finds it by.
func Wheel(t testing.TB, name, source string) string {
	t.Helper()
	info := name + "-1.0.dist-info/"
	return string(Zip(t, map[string]string{
		name + ".py":      source,
		info + "METADATA": "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n",
		info + "WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		info + "RECORD":   name + ".py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n",
	}))
}

// WheelFile is the file name of a [Wheel].
func WheelFile(name string) string { return name + "-1.0-py3-none-any.whl" }
