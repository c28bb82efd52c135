// SPDX-License-Identifier: Apache-2.0

package scripts

import (
	"bytes"
	"context"
	"go/ast"
	"go/build"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"
)

// These packages are there on other systems and without cgo, too, if only to say that they do nothing there.
var everywhere = []string{"nsenter/within", "nsenter/within/remote", "nsenter/parent", "nsenter/bootstrap"}

// platform is for what a program is built.
type platform struct {
	system string
	cgo    bool
}

func (p platform) String() string {
	if p.cgo {
		return p.system + " with cgo"
	}
	return p.system + " without cgo"
}

var others = []platform{{"linux", false}, {"darwin", false}, {"windows", false}, {"freebsd", false}}

// A program that compiles for one of them compiles for all, but for types that package syscall does not have.
func TestAPIIsTheSameEverywhere(t *testing.T) {
	for _, folder := range everywhere {
		want := apiOf(t, folder, platform{"linux", true})
		if len(want) < 3 {
			t.Fatalf("%s has only %d declarations", folder, len(want))
		}
		for _, other := range others {
			got := apiOf(t, folder, other)
			for name, declaration := range want {
				if got[name] != declaration {
					t.Errorf("%s, %s on %v:\n%s\nwant\n%s", folder, name, other, got[name], declaration)
				}
			}
			for name := range got {
				if _, is := want[name]; !is {
					t.Errorf("%s has %s on %v only", folder, name, other)
				}
			}
		}
	}
}

// apiOf is the exported declarations of a package, by name, without comments and bodies of functions.
func apiOf(t *testing.T, folder string, on platform) map[string]string {
	t.Helper()
	at := build.Default
	at.GOOS, at.GOARCH, at.CgoEnabled, at.Compiler = on.system, "amd64", on.cgo, "gc"
	names, err := at.ImportDir(filepath.Join(workingDir(t), "..", folder), 0)
	if err != nil {
		t.Fatalf("%s on %v: %v", folder, on, err)
	}
	api := make(map[string]string)
	for _, name := range append(names.GoFiles, names.CgoFiles...) {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, filepath.Join(names.Dir, name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.FileExports(file)
		for _, declaration := range file.Decls {
			addDeclaration(t, api, set, declaration)
		}
	}
	return api
}

func addDeclaration(t *testing.T, api map[string]string, set *token.FileSet, declaration ast.Decl) {
	add := func(name string, node interface{}) {
		var text bytes.Buffer
		if err := printer.Fprint(&text, set, node); err != nil {
			t.Fatal(err)
		}
		// Space differs with what stands around a declaration.
		alike := strings.NewReplacer("kernel.", "syscall.", "struct{}", "struct { }").Replace(text.String())
		api[name] = strings.Join(strings.Fields(alike), " ")
	}
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		d.Body = nil
		name := d.Name.Name
		if d.Recv != nil {
			var receiver bytes.Buffer
			printer.Fprint(&receiver, set, d.Recv.List[0].Type)
			kind := strings.TrimPrefix(receiver.String(), "*")
			if !ast.IsExported(kind) {
				return
			}
			name = kind + "." + name
			d.Recv.List[0].Names = nil
		}
		add(name, d)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if structure, is := s.Type.(*ast.StructType); is {
					structure.Incomplete = false // it says "contains filtered or unexported fields"
				}
				add(s.Name.Name, s)
			case *ast.ValueSpec:
				for _, name := range s.Names {
					add(name.Name, s)
				}
			}
		}
	}
}

func TestBuildsEverywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the standard library for other systems")
	}
	var packages []string
	for _, folder := range everywhere {
		packages = append(packages, "./"+folder)
	}
	sort.Strings(packages)
	for _, other := range others {
		runGo(t, other, append([]string{"build"}, packages...)...)
		runGo(t, other, append([]string{"vet"}, packages...)...)
	}
	if build.Default.GOOS == "linux" { // where what is for other systems can run, too
		runGo(t, platform{"linux", false}, "test", "./nsenter/within")
	}
}

func runGo(t *testing.T, on platform, arguments ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", arguments...)
	cmd.Dir = filepath.Dir(workingDir(t))
	cmd.Env = append(os.Environ(), "GOOS="+on.system, "GOARCH=amd64", "GOFLAGS=", "CGO_ENABLED=0")
	if on.system == build.Default.GOOS {
		cmd.Env = append(cmd.Env, "GOARCH="+build.Default.GOARCH) // to be run
	}
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go %s, %v: %v\n%s", strings.Join(arguments, " "), on, err, output)
	}
}
