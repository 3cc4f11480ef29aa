package bundle

import (
	"bytes"
	"slices"
	"strings"
)

const zipped = "hello, hello, hello"

func archiveCases() []bundleCase {
	lie := func(at int, b ...byte) func([]byte) { return func(h []byte) { copy(h[at:], b) } }
	path := func(name string) rawZip { return withManifest(file(name, zipped)) }
	mode := func(m uint32) rawZip { return withManifest(rawEntry{name: "f", data: []byte(zipped), mode: m}) }
	entry := func(e rawEntry) rawZip {
		e.name = "a"
		if e.data == nil {
			e.data = []byte(zipped)
		}
		return withManifest(e)
	}
	zip64 := func(b ...byte) []byte { return slices.Concat(u16(extraZip64), u16(len(b)), b) }
	saturated := bytes.Repeat([]byte{0xff}, 8)
	eight := func(n byte) []byte { return append([]byte{n}, make([]byte, 7)...) }
	good, wrapped := []byte(goodManifest), func(more ...rawEntry) rawZip {
		return rawZip{entries: append([]rawEntry{file("demo-1/app.toml", goodManifest), file("demo-1/app.py", "")}, more...)}
	}
	return []bundleCase{
		{"an archive", withManifest(), ""},
		{"a comment", rawZip{entries: withManifest().entries, comment: "made by hand"}, ""},
		{"a long comment", rawZip{entries: withManifest().entries, comment: strings.Repeat("c", max16)}, ""},
		{"a wrapping folder", wrapped(), ""},
		{"a wrapping folder with its entry", wrapped(rawEntry{name: "demo-1/", mode: 0o040755}), ""},
		{"a wrapping folder and __MACOSX", wrapped(file("__MACOSX/demo-1/._app.py", "x")), ""},
		{"__MACOSX beside", withManifest(file("__MACOSX/._app.toml", "x")), ""},
		{"a folder that is called __macosx", withManifest(file("__macosx/x", "x")), ""},
		{"two wrapping folders", rawZip{entries: []rawEntry{file("a/b/app.toml", goodManifest)}}, "no_manifest :0:0 "},
		{"a wrapping folder beside a file", wrapped(file("README.md", "x")), "no_manifest :0:0 "},
		{"a wrapping folder with .DS_Store beside", wrapped(file(".DS_Store", "x")), "no_manifest :0:0 "},
		{"both manifests", of(goodManifest, file("q-app.toml", "not TOML at all")), "warning two_manifests q-app.toml:0:0 "},
		{"both manifests, wrapped", wrapped(file("demo-1/q-app.toml", "not TOML at all")), "warning two_manifests q-app.toml:0:0 "},
		{"a manifest in capitals", rawZip{entries: []rawEntry{file("APP.TOML", goodManifest)}}, "no_manifest :0:0 "},
		{"a manifest that is a folder", rawZip{entries: []rawEntry{{name: "app.toml/"}, file("app.toml/x", "x")}}, "no_manifest :0:0 "},
		{"no entries", rawZip{}, "no_manifest :0:0 "},
		{"nothing but __MACOSX", rawZip{entries: []rawEntry{file("__MACOSX/app.toml", goodManifest)}}, "no_manifest :0:0 "},

		{"the same entry twice", rawZip{entries: []rawEntry{file("app.toml", goodManifest), file("app.toml", goodManifest)}}, "duplicate_entry app.toml:0:0 "},
		{"the same entry in another case", withManifest(file("App.toml", "x")), "duplicate_entry App.toml:0:0 "},
		{"the same in German", withManifest(file("straße", "x"), file("STRAẞE", "x")), "duplicate_entry STRAẞE:0:0 "},
		{"the same with a long s", withManifest(file("class", "x"), file("cla\u017fs", "x")), "duplicate_entry cla\u017fs:0:0 "},
		{"the same folder in another case", withManifest(file("static/a", "x"), file("Static/b", "x")), "duplicate_entry Static/b:0:0 "},
		{"a file below a file", withManifest(file("a", "x"), file("a/b", "x")), "duplicate_entry a/b:0:0 "},
		{"the same in __MACOSX", withManifest(file("__MACOSX/a", "x"), file("__MACOSX/a", "x")), "duplicate_entry __MACOSX/a:0:0 "},
		{"two faults", withManifest(file("../x", "x"), file("/y", "x")), "entry_path ../x:0:0 \nentry_path /y:0:0 "},

		{"dot dot", path("../../etc/cron.d/x"), "entry_path ../../etc/cron.d/x:0:0 "},
		{"dot dot in __MACOSX", path("__MACOSX/../x"), "entry_path __MACOSX/../x:0:0 "},
		{"dot dot behind a backslash", path(`..\x`), `entry_path ..\x:0:0 `},
		{"absolute", path("/etc/passwd"), "entry_path /etc/passwd:0:0 "},
		{"a share", path("//server/share"), "entry_path //server/share:0:0 "},
		{"a drive", path("c:x"), "entry_path c:x:0:0 "},
		{"a bell", path("a\ab"), "entry_path a\ab:0:0 "},
		{"DEL", path("a\x7fb"), "entry_path a\x7fb:0:0 "},
		{"a line separator", path("a\u2028b"), "entry_path a\u2028b:0:0 "},
		{"an embedding", path("a\u202bb"), "entry_path a\u202bb:0:0 "},
		{"a right-to-left mark", path("a\u200fb"), "entry_path a\u200fb:0:0 "},
		{"an Arabic mark", path("a\u061cb"), "entry_path a\u061cb:0:0 "},
		{"a pop of isolates", path("a\u2069b"), "entry_path a\u2069b:0:0 "},
		{"a name in Latin-1", path("caf\xe9"), "entry_path caf\xe9:0:0 "},
		{"an overlong slash", path("a\xc0\xafb"), "entry_path a\xc0\xafb:0:0 "},
		{"a name in Arabic", path("\u0645\u0644\u0641"), ""},
		{"a name in Chinese", path("\u6587\u4ef6"), ""},
		{"a name of dots", path(".../x"), ""},
		{"a hidden file", path(".streamlit/config.toml"), ""},

		{"a symbolic link", mode(0o120777), "symlink f:0:0 "},
		{"a symbolic link in __MACOSX", withManifest(rawEntry{name: "__MACOSX/f", data: []byte("/etc"), mode: 0o120777}), "symlink __MACOSX/f:0:0 "},
		{"a symbolic link to a folder", withManifest(rawEntry{name: "f/", mode: 0o120777}), "symlink f/:0:0 "},
		{"a character device", mode(0o020666), "special_file f:0:0 "},
		{"a block device", mode(0o060666), "special_file f:0:0 "},
		{"a pipe", mode(0o010666), "special_file f:0:0 "},
		{"a socket", mode(0o140666), "special_file f:0:0 "},
		{"setuid", mode(0o104755), "special_file f:0:0 "},
		{"setgid", mode(0o102755), "special_file f:0:0 "},
		{"setuid without a type", mode(0o004755), "special_file f:0:0 "},
		{"a folder that is setuid", withManifest(rawEntry{name: "d/", mode: 0o044755}), "special_file d/:0:0 "},
		{"a folder that is setgid", withManifest(rawEntry{name: "d/", mode: 0o042755}), ""},
		{"a file of all rights", mode(0o100777), ""},
		{"a file of none", mode(0o100000), ""},

		{"encrypted", entry(rawEntry{flags: 1}), "encrypted a:0:0 "},
		{"encrypted with a descriptor", entry(rawEntry{flags: 1 | flagDescriptor}), "encrypted a:0:0 "},
		{"an encrypted directory", entry(rawEntry{flags: 1 << 13}), "encrypted a:0:0 "},
		{"patch data", entry(rawEntry{flags: 1 << 5}), "method a:0:0 "},
		{"shrunk", entry(rawEntry{method: 1}), "method a:0:0 "},
		{"deflate64", entry(rawEntry{method: 9}), "method a:0:0 "},
		{"LZMA", entry(rawEntry{method: 14}), "method a:0:0 "},
		{"zstd", entry(rawEntry{method: 93}), "method a:0:0 "},

		{"another name in the local header", entry(rawEntry{localName: "b"}), "header_mismatch a:0:0 "},
		{"another case in the local header", entry(rawEntry{localName: "A"}), "header_mismatch a:0:0 "},
		{"another method in the local header", entry(rawEntry{local: lie(8, 8)}), "header_mismatch a:0:0 "},
		{"encrypted in the local header", entry(rawEntry{local: lie(6, 1)}), "header_mismatch a:0:0 "},
		{"another size in the local header", entry(rawEntry{local: lie(22, 99)}), "header_mismatch a:0:0 "},
		{"another checksum in the local header", entry(rawEntry{local: lie(14, 9, 9, 9, 9)}), "header_mismatch a:0:0 "},
		{"another size in the directory", entry(rawEntry{method: 8, central: lie(24, 99)}), "header_mismatch a:0:0 "},
		{"a directory in another part", entry(rawEntry{central: lie(34, 2)}), "header_mismatch a:0:0 "},
		{"a size that lies in both", entry(rawEntry{method: 8, local: lie(22, 18), central: lie(24, 18)}), "size a:0:0 "},
		{"a checksum that lies in both", entry(rawEntry{local: lie(14, 9, 9, 9, 9), central: lie(16, 9, 9, 9, 9)}), "checksum a:0:0 "},
		{"a checksum that lies in all three", entry(rawEntry{flags: flagDescriptor, local: lie(14, make([]byte, 12)...), central: lie(16, 9, 9, 9, 9), descriptor: slices.Concat(u32(sigDescriptor), []byte{9, 9, 9, 9}, u32(19), u32(19))}), "checksum a:0:0 "},
		{"a descriptor of an odd length", entry(rawEntry{flags: flagDescriptor, descriptor: make([]byte, 13)}), "header_mismatch a:0:0 "},
		{"a descriptor and more", entry(rawEntry{flags: flagDescriptor, descriptor: make([]byte, 25)}), "surrounding_data a:0:0 "},
		{"a folder with a descriptor left out", withManifest(rawEntry{name: "d/", flags: flagDescriptor}), ""},
		{"an extra field cut off", entry(rawEntry{extra: []byte{1, 0, 99, 0}}), "header_mismatch a:0:0 "},
		{"extra bytes that are no field", entry(rawEntry{extra: []byte{1, 0}}), ""},
		{"an unknown extra field", entry(rawEntry{extra: []byte{0x55, 0x54, 1, 0, 0}}), ""},
		{"zip64", entry(rawEntry{extra: zip64(slices.Concat(eight(19), eight(19))...), local: lie(18, saturated...), central: lie(20, saturated...)}), ""},
		{"zip64 too short", entry(rawEntry{extra: zip64(eight(19)...), local: lie(18, saturated...), central: lie(20, saturated...)}), "header_mismatch a:0:0 "},
		{"zip64 twice", entry(rawEntry{extra: slices.Concat(zip64(eight(19)...), zip64(eight(19)...))}), "header_mismatch a:0:0 "},
		{"zip64 of an enormous size", entry(rawEntry{method: 8, extra: zip64(slices.Concat(saturated, eight(19))...), local: lie(18, saturated...), central: lie(20, saturated...)}), "overlap a:0:0 "},
		{"zip64 of a size beyond the limit", entry(rawEntry{method: 8, packed: deflated([]byte(zipped)), extra: zip64(slices.Concat([]byte{0, 0, 0, 0, 1, 0, 0, 0}, eight(byte(len(deflated([]byte(zipped))))))...), local: lie(18, saturated...), central: lie(20, saturated...)}), "too_large a:0:0 "},

		{"a program before", rawZip{entries: withManifest().entries, before: []byte("#!/bin/sh\nexit\n")}, "surrounding_data :0:0 "},
		{"a picture before, offsets mended", rawZip{entries: []rawEntry{{name: "app.toml", data: good, gap: []byte("\x89PNG")}}}, "surrounding_data :0:0 "},
		{"data after", rawZip{entries: withManifest().entries, after: []byte("x")}, "surrounding_data :0:0 "},
		{"another archive after", rawZip{entries: withManifest().entries, after: withManifest().bytes()}, "surrounding_data :0:0 "},
		{"another archive in the comment", rawZip{entries: withManifest().entries, comment: string(withManifest().bytes())}, "surrounding_data :0:0 "},
		{"data between", entry(rawEntry{gap: []byte("x")}), "surrounding_data app.toml:0:0 "},
		{"data before the end", rawZip{entries: withManifest().entries, middle: []byte("x")}, "surrounding_data :0:0 "},
		{"an entry that nothing lists", rawZip{entries: withManifest(file("a", "x")).entries, end: func(b []byte) { copy(b[8:], []byte{1, 0, 1, 0}) }}, "surrounding_data :0:0 "},
		{"a second part", rawZip{entries: withManifest().entries, end: lie(4, 1)}, "not_a_zip :0:0 "},
		{"a directory behind the end", rawZip{entries: withManifest().entries, end: lie(16, 0xff, 0xff, 0xff, 0x7f)}, "truncated :0:0 "},
		{"two entries of the same bytes", func() rawZip { zero := uint32(0); return entry(rawEntry{at: &zero}) }(), "overlap app.toml:0:0 \nheader_mismatch a:0:0 "},

		{"a large manifest", of(goodManifest + "#" + strings.Repeat("x", 256<<10)), "manifest app.toml:0:0 "},
		{"a manifest of just so much", of(goodManifest + "#" + strings.Repeat("x", 256<<10-1-len(goodManifest))), ""},
		{"a large packages.txt", withManifest(file("packages.txt", "#"+strings.Repeat("x", 256<<10))), "packages packages.txt:0:0 "},
		{"an option in requirements.txt", withManifest(file("requirements.txt", "a==1\n--index-url https://evil\n")), "requirements requirements.txt:2:1 "},
		{"an address in requirements.txt", withManifest(file("requirements.txt", "x @ git+https://evil/x\n")), "requirements requirements.txt:1:1 "},
		{"a wheel that is not there", withManifest(file("requirements.txt", "wheels/a-1-py3-none-any.whl\n")), "requirements requirements.txt:1:1 "},
		{"a wheel that is there", withManifest(file("requirements.txt", "wheels/a-1-py3-none-any.whl\n"), file("wheels/a-1-py3-none-any.whl", "x")), ""},
		{"a wheel outside", withManifest(file("requirements.txt", "../a-1-py3-none-any.whl\n")), "requirements requirements.txt:1:1 "},
		{"an option in packages.txt", withManifest(file("packages.txt", "libgomp1\n  -oDpkg::x\n")), "packages packages.txt:2:3 "},
		{"a command in packages.txt", withManifest(file("packages.txt", "a;reboot\n")), "packages packages.txt:1:1 "},
	}
}
