// SPDX-License-Identifier: Apache-2.0

// Tests of the command on folders that only look like runc and like this module: no network, no
// compiler. That real runc builds and runs with the overlay is tested in tests/system/runc.
package main

import (
	"bytes"
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runcFiles are the files of libcontainer/nsenter in the modules of runc 1.2.0 to 1.5.2, all alike.
var runcFiles = []string{
	"README.md", "escape.c", "getenv.c", "getenv.h", "log.c", "log.h", "namespace.h", "nsenter.go",
	"nsenter_gccgo.go", "nsenter_test.go", "nsexec.c", "test/escape.go", "test/escape_test.go",
}

// writeTree writes files, given by slash-separated name and contents, below root.
func writeTree(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// fakePackage adds runc's libcontainer/nsenter below prefix to files.
func fakePackage(files map[string]string, prefix string) map[string]string {
	for _, name := range runcFiles {
		files[prefix+"libcontainer/nsenter/"+name] = "theirs"
	}
	return files
}

// fakeRunc makes a checkout.
func fakeRunc(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeTree(t, dir, fakePackage(map[string]string{"go.mod": "// runc\nmodule " + runcModule + "\n\ngo 1.22\n"}, ""))
	return dir
}

// fakeVendor makes a vendor folder.
func fakeVendor(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "vendor")
	list := "# " + runcModule + " v1.5.2\n## explicit; go 1.25.0\n" + runcModule + "/libcontainer\n" + runcModule +
		"/libcontainer/nsenter\n"
	writeTree(t, dir, fakePackage(map[string]string{"modules.txt": list}, runcModule+"/"))
	return dir
}

const fakeConstructor = `package nsenter

/*
extern void nsexec(void);
static void __attribute__((constructor)) before_main(void) { nsexec(); }
*/
import "C"

// The core.
import _ "example.org/nsenter/cpp"

var After = 1
`

// fakeOurs makes a module in the shape of this one.
func fakeOurs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{
		"go.mod": "module example.org/nsenter\n",
		"cpp/cpp.go": "package cpp\n\n/*\n#cgo CXXFLAGS: -std=c++20 -fno-rtti\n#cgo LDFLAGS: " +
			"-Wl,--as-needed\n*/\nimport \"C\"\n",
		"cpp/doc.go":              "// Package cpp is the core.\npackage cpp\n",
		"cpp/log.cc":              "",
		"cpp/log.h":               "",
		"cpp/nsexec.cc":           "",
		"nsenter/doc.go":          "// Package nsenter does it.\npackage nsenter\n",
		"nsenter/nsenter_gc.go":   fakeConstructor,
		"nsenter/nsenter_test.go": "package nsenter\n",
	})
	return dir
}

// printed runs the command and returns its map.
func printed(t *testing.T, runcDir, nsenterDir, outDir string) map[string]string {
	t.Helper()
	var out bytes.Buffer
	if err := run(&out, runcDir, nsenterDir, outDir, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	var overlay struct{ Replace map[string]string }
	dec := json.NewDecoder(&out)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&overlay); err != nil {
		t.Fatal(err)
	}
	return overlay.Replace
}

func TestOverlay(t *testing.T) {
	checkout, vendor := fakeRunc(t), fakeVendor(t)
	for _, tt := range []struct{ name, dir, pkg string }{
		{"checkout", checkout, filepath.Join(checkout, "libcontainer", "nsenter")},
		{"vendor", vendor, filepath.Join(vendor, "github.com", "opencontainers", "runc", "libcontainer", "nsenter")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ours, out := fakeOurs(t), t.TempDir()
			want := map[string]string{
				"escape.c":         "",
				"getenv.c":         "",
				"getenv.h":         "",
				"log.c":            "",
				"log.h":            filepath.Join(ours, "cpp", "log.h"), // theirs, replaced by ours
				"namespace.h":      "",
				"nsenter.go":       "",
				"nsenter_gccgo.go": "",
				"nsexec.c":         "",
				"log.cc":           filepath.Join(ours, "cpp", "log.cc"),
				"nsexec.cc":        filepath.Join(ours, "cpp", "nsexec.cc"),
				"doc.go":           filepath.Join(ours, "nsenter", "doc.go"),
				"nsenter_gc.go":    filepath.Join(out, "nsenter_gc.go"),
			}
			got := printed(t, tt.dir, ours, out)
			for name, path := range want {
				key := filepath.Join(tt.pkg, name)
				if found, ok := got[key]; !ok || found != path {
					t.Errorf("%s is mapped to %q (%v), want %q", name, found, ok, path)
				}
				delete(got, key)
			}
			for key, path := range got {
				t.Errorf("unexpected entry: %s is mapped to %q", key, path)
			}
		})
	}
}

func TestGeneratedFile(t *testing.T) {
	out := t.TempDir()
	printed(t, fakeRunc(t), fakeOurs(t), out)
	text, err := os.ReadFile(filepath.Join(out, "nsenter_gc.go"))
	if err != nil {
		t.Fatal(err)
	}
	want := `package nsenter

// #cgo CXXFLAGS: -std=c++20 -fno-rtti
// #cgo LDFLAGS: -Wl,--as-needed
/*
extern void nsexec(void);
static void __attribute__((constructor)) before_main(void) { nsexec(); }
*/
import "C"



var After = 1
`
	if string(text) != want {
		t.Errorf("generated:\n%s\nwant:\n%s", text, want)
	}
}

// The default folder for generated files is named after their contents.
func TestGeneratedFileInCache(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	runc, ours := fakeRunc(t), fakeOurs(t)
	key := filepath.Join(runc, "libcontainer", "nsenter", "nsenter_gc.go")
	first := printed(t, runc, ours, "")[key]
	if again := printed(t, runc, ours, "")[key]; again != first {
		t.Errorf("second run generated %s, first %s", again, first)
	}
	writeTree(t, ours, map[string]string{"nsenter/nsenter_gc.go": fakeConstructor + "\nvar More = 1\n"})
	if changed := printed(t, runc, ours, "")[key]; changed == first {
		t.Errorf("other sources overwrote %s", first)
	}
}

// The real sources of this module: what runc gets must import no package of ours.
func TestOverlayOfThisModule(t *testing.T) {
	if _, err := os.Stat(filepath.Join("..", "..", "cpp", "nsexec.cc")); err != nil {
		t.Fatal(err)
	}
	runc := fakeRunc(t)
	replace := printed(t, runc, filepath.Join("..", ".."), t.TempDir())
	constructors, sources := 0, 0
	for key, path := range replace {
		if path == "" {
			continue
		}
		if !filepath.IsAbs(path) {
			t.Errorf("%s is mapped to the relative path %s", key, path)
		}
		switch filepath.Ext(key) {
		case ".cc":
			sources++
			continue
		case ".h":
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			t.Error(err)
			continue
		}
		if file.Name.Name != "nsenter" {
			t.Errorf("%s is package %s", path, file.Name.Name)
		}
		for _, spec := range file.Imports {
			if spec.Path.Value != `"C"` {
				t.Errorf("%s imports %s", path, spec.Path.Value)
				continue
			}
			constructors++
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(text, []byte("\n// #cgo CXXFLAGS: -std=c++20")) || !bytes.Contains(text, []byte("nsexec();")) {
				t.Errorf("%s lacks the flags or the constructor:\n%s", path, text)
			}
		}
	}
	if constructors != 2 { // for gc and for gccgo
		t.Errorf("%d files with a constructor, want 2", constructors)
	}
	if sources == 0 {
		t.Error("no C++ source is mapped")
	}
}

func TestErrors(t *testing.T) {
	good := fakeRunc(t)
	with := func(dir string, files map[string]string) string {
		writeTree(t, dir, files)
		return dir
	}
	without := func(dir, name string) string {
		if err := os.RemoveAll(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	cached := t.TempDir()
	inCache := filepath.Join(cached, "github.com", "opencontainers", "runc@v1.5.2")
	writeTree(t, inCache, fakePackage(map[string]string{"go.mod": "module " + runcModule + "\n"}, ""))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(inCache, link); err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct{ name, runc, nsenter, want string }{
		{"unknown C file", with(fakeRunc(t), map[string]string{"libcontainer/nsenter/cloned_binary.c": ""}), "",
			"unknown file DIR/libcontainer/nsenter/cloned_binary.c: the files known are those of runc 1.2 to 1.5"},
		{"unknown file in the test folder", with(fakeRunc(t), map[string]string{"libcontainer/nsenter/test/more.go": ""}), "",
			"unknown file DIR/libcontainer/nsenter/test/more.go"},
		{"unknown folder", with(fakeRunc(t), map[string]string{"libcontainer/nsenter/new/new.go": ""}), "",
			"unknown file DIR/libcontainer/nsenter/new/new.go"},
		{"unknown file in a vendor folder",
			with(fakeVendor(t), map[string]string{runcModule + "/libcontainer/nsenter/a.c": ""}), "", "unknown file DIR/" +
				runcModule + "/libcontainer/nsenter/a.c"},
		{"another module", with(t.TempDir(), map[string]string{"go.mod": "module example.org/other\n"}), "",
			"DIR is not runc: go.mod says module example.org/other, not " + runcModule},
		{"go.mod without a module", with(t.TempDir(), map[string]string{"go.mod": "go 1.22\n"}), "",
			"DIR/go.mod has no module line"},
		{"empty folder", t.TempDir(), "",
			"DIR is neither a checkout of runc (no go.mod) nor a vendor folder (no modules.txt)"},
		{"no folder", filepath.Join(good, "missing"), "", "DIR is neither a checkout of runc"},
		{"runc without nsenter", without(fakeRunc(t), "libcontainer"), "",
			"DIR/libcontainer/nsenter: no such file or directory"},
		{"nsenter without sources", with(without(fakeRunc(t), "libcontainer"),
			map[string]string{"libcontainer/nsenter/README.md": ""}), "",
			"DIR/libcontainer/nsenter holds none of the files of runc's nsenter"},
		{"vendor folder without runc",
			with(fakeVendor(t), map[string]string{"modules.txt": "# example.org/other v1.0.0\nexample.org/other\n"}), "",
			"DIR/modules.txt does not list the package " + runcModule + "/libcontainer/nsenter"},
		{"module cache", inCache, "", "DIR is below the module cache (CACHE), where the go command refuses " +
			"overlays: copy the folder"},
		{"link into the module cache", link, "", "is below the module cache"},
		{"nsenter sources elsewhere", good, without(fakeOurs(t), "cpp"),
			"is not the folder of the nsenter-cpp sources: stat"},
		{"nsenter sources without go.mod", good, without(fakeOurs(t), "go.mod"),
			"is not the folder of the nsenter-cpp sources: open"},
		{"core without flags", good, with(fakeOurs(t), map[string]string{"cpp/cpp.go": "package cpp\n\nimport \"C\"\n"}),
			"cpp.go has no #cgo lines"},
		{"constructor without a preamble", good,
			with(fakeOurs(t), map[string]string{"nsenter/nsenter_gc.go": "package nsenter\n\nimport \"C\"\n"}),
			`nsenter_gc.go: the import of "C" has to be a declaration of its own`},
		{"imports in one declaration", good,
			with(fakeOurs(t), map[string]string{"nsenter/nsenter_gc.go": "package nsenter\n\nimport (\n\t\"os\"\n\t_ " +
				"\"example.org/nsenter/cpp\"\n)\n"}),
			`nsenter_gc.go: the import of "example.org/nsenter/cpp" has to be a declaration of its own`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nsenter := tt.nsenter
			if nsenter == "" {
				nsenter = fakeOurs(t)
			}
			var out bytes.Buffer
			err := run(&out, tt.runc, nsenter, t.TempDir(), cached)
			if err == nil {
				t.Fatalf("no error, printed %s", out.String())
			}
			want := strings.NewReplacer("DIR", tt.runc, "CACHE", cached).Replace(tt.want)
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %q, want %q in it", err, want)
			}
			if out.Len() != 0 {
				t.Errorf("printed %s with the error", out.String())
			}
		})
	}
}
