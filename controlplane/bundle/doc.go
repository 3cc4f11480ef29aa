// Package bundle reads and writes app bundles: a zip with app.toml at its root
// (spec apps.md §1, §2, §4). It opens nothing but what it is given, and runs
// nothing.
//
// [Open] reads an archive twice: its structure (end record, directory, local
// headers, every name), then the bytes of every entry, which are decompressed,
// counted and checked, never kept. Memory grows with the number of entries and
// the length of their names, both limited, and never with their sizes. The
// parser is our own and reads each figure once: archive/zip returns no error
// for "..", duplicates, symlinks or foreign data around the archive, and two
// parsers that read one archive differently are how one of them is deceived.
// What is not fully accounted for is refused: every byte belongs to an entry,
// to the directory or to the archive's comment.
//
// [Reopen] is for an archive that Open has let in before: what makes it safe to
// read is asked again, what the settings say of it is not, since they change.
//
// Errors are *controlplane.Error: CodeTooLarge for an archive over the upload
// limit, CodeInvalid for any other refusal, CodeInternal where the disk fails.
// Faults say what is wrong where; their codes are the Code constants of this
// package. A structural fault ends the reading; the faults of app.toml,
// requirements.txt and packages.txt come all at once, but a syntax error of
// app.toml comes without other faults of it. At most 100 are listed.
//
// Reading app.toml: keys and enumerations in any case; an empty string is a
// value left out (but for Value of Env and File); defaults are applied; what
// the app's mode does not use is left out of the Manifest, with a warning. The
// app's root is "/app", as in the App Store, wherever a launcher really has it.
//
// Limits beside [Limits], in bytes: app.toml and packages.txt 256 KiB,
// requirements.txt 4 MiB, a path 1024 and a part of it 255, all paths 16 MiB,
// an Env value 32 KiB, a File value 128 KiB; 200 entries of Env, File, Tags,
// Keywords, AppArgs and AppEntryPoint each, 5000 keys in app.toml.
//
// [Pack] writes the archive that Open reads. Equal folders give equal bytes:
// entries are sorted, times fixed, modes 0644 or 0755. [ValidateFolder] says
// what Pack would. Both leave out what .appignore names (gitignore rules, the
// file at the root only), and always .git, .slipway, __MACOSX, virtual
// environments of Python (folders with pyvenv.cfg), the file that is written,
// and what an earlier Pack wrote to the root: *.wave, *.qz, and *.zip that
// begins with the app's name. What Python, notebooks and macOS leave behind is
// left out unless .appignore takes it back. A symbolic link to a file inside
// the folder is packed as that file; every other one is refused, and so is what
// cannot be read.
package bundle
