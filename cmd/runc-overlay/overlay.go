// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

const (
	runcModule     = "github.com/opencontainers/runc"
	nsenterPackage = "libcontainer/nsenter" // in runc's module
)

// What is done with each file that runc has in libcontainer/nsenter.
type action int

const (
	remove action = iota + 1 // compiled into runc: our package is there instead
	keep                     // not compiled into runc
)

// knownFiles lists the files of libcontainer/nsenter in runc 1.2 to 1.5. A file that is not on it
// means a release with other parts, and perhaps another protocol, so nothing is printed then.
// nsenter_test.go stays: it starts its own binary and so tests whichever nsexec is linked.
var knownFiles = map[string]action{
	"README.md":           keep,
	"escape.c":            remove,
	"getenv.c":            remove,
	"getenv.h":            remove,
	"log.c":               remove,
	"log.h":               remove,
	"namespace.h":         remove,
	"nsenter.go":          remove,
	"nsenter_gccgo.go":    remove,
	"nsenter_test.go":     keep,
	"nsexec.c":            remove,
	"test/escape.c":       keep, // a symbolic link to ../escape.c, in a checkout only
	"test/escape.go":      keep,
	"test/escape_test.go": keep,
}

// theirs is runc's package as found.
type theirs struct {
	dir     string   // absolute path of libcontainer/nsenter
	removed []string // names in dir that the overlay removes
}

// findTheirs finds libcontainer/nsenter in a checkout of runc or in a vendor folder.
func findTheirs(runcDir, modCache string) (*theirs, error) {
	root, err := filepath.Abs(runcDir)
	if err != nil {
		return nil, err
	}
	if below(root, modCache) {
		return nil, fmt.Errorf("%s is below the module cache (%s), where the go command refuses overlays: copy the folder "+
			"and make the copy writable first", root, modCache)
	}
	dir, err := packageDir(root)
	if err != nil {
		return nil, err
	}
	t := &theirs{dir: dir}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch knownFiles[filepath.ToSlash(name)] {
		case remove:
			t.removed = append(t.removed, name)
		case keep:
		default:
			return fmt.Errorf("unknown file %s: the files known are those of runc 1.2 to 1.5", path)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(t.removed) == 0 {
		return nil, fmt.Errorf("%s holds none of the files of runc's nsenter", dir)
	}
	return t, nil
}

// packageDir returns the folder of libcontainer/nsenter in root: a checkout is told by its go.mod, a
// vendor folder by its modules.txt.
func packageDir(root string) (string, error) {
	if module, err := modulePath(root); err == nil {
		if module != runcModule {
			return "", fmt.Errorf("%s is not runc: go.mod says module %s, not %s", root, module, runcModule)
		}
		return filepath.Join(root, filepath.FromSlash(nsenterPackage)), nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}

	list := filepath.Join(root, "modules.txt")
	vendored, err := hasLine(list, runcModule+"/"+nsenterPackage)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s is neither a checkout of runc (no go.mod) nor a vendor folder (no modules.txt)", root)
	}
	if err != nil {
		return "", err
	}
	if !vendored {
		return "", fmt.Errorf("%s does not list the package %s/%s: nothing vendored imports it", list,
			runcModule, nsenterPackage)
	}
	return filepath.Join(root, filepath.FromSlash(runcModule+"/"+nsenterPackage)), nil
}

// ours is this module's package as found.
type ours struct {
	dir    string // root of the module
	module string // its path
}

// loadOurs checks that dir is this module's root; "" stands for the one this command was built from.
func loadOurs(dir string) (*ours, error) {
	if dir == "" {
		if dir = builtFrom(); dir == "" {
			return nil, errors.New("this command does not know where the nsenter-cpp sources are (was it built with " +
				"-trimpath?): say -nsenter DIR")
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	module, err := modulePath(dir)
	if err != nil {
		return nil, fmt.Errorf("%s is not the folder of the nsenter-cpp sources: %w", dir, err)
	}
	for _, name := range []string{"cpp/cpp.go", "cpp/nsexec.cc", "nsenter/doc.go"} {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return nil, fmt.Errorf("%s is not the folder of the nsenter-cpp sources: %w", dir, err)
		}
	}
	return &ours{dir: dir, module: module}, nil
}

// overlay returns the map from the files that the go command is to see to the files it is to read;
// an empty value removes the file.
//
// In this module the package is two, because each folder with C++ sources has to be a Go package:
// nsenter with the constructor, which imports cpp, which holds the core and the #cgo flags. In runc
// they have to be one, since an import of this module would need a line in runc's go.mod. So the
// Go files of nsenter that import cpp are generated anew, with the flags in the import's place.
func overlay(t *theirs, o *ours, outDir string) (map[string]string, error) {
	replace := make(map[string]string)
	for _, name := range t.removed {
		replace[filepath.Join(t.dir, name)] = ""
	}

	sources, err := o.glob("cpp", "*.cc", "*.h")
	if err != nil {
		return nil, err
	}
	for _, path := range sources {
		replace[filepath.Join(t.dir, filepath.Base(path))] = path
	}

	flags, err := o.cgoFlags()
	if err != nil {
		return nil, err
	}
	goFiles, err := o.glob("nsenter", "*.go")
	if err != nil {
		return nil, err
	}
	generated := make(map[string][]byte)
	for _, path := range goFiles {
		name := filepath.Base(path)
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		replace[filepath.Join(t.dir, name)] = path
		old, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		text, err := mergeCore(name, old, o.module+"/cpp", flags)
		if err != nil {
			return nil, err
		}
		if string(text) != string(old) {
			generated[name] = text
		}
	}
	dir, err := writeGenerated(generated, outDir)
	if err != nil {
		return nil, err
	}
	for name := range generated {
		replace[filepath.Join(t.dir, name)] = filepath.Join(dir, name)
	}
	return replace, nil
}

// glob returns the files of a package of ours that match one of the patterns.
func (o *ours) glob(pkg string, patterns ...string) ([]string, error) {
	var files []string
	for _, pattern := range patterns {
		matches, err := filepath.Glob(filepath.Join(o.dir, pkg, pattern))
		if err != nil {
			return nil, err
		}
		files = append(files, matches...)
	}
	return files, nil
}

// cgoFlags returns the #cgo lines of cpp/cpp.go.
func (o *ours) cgoFlags() ([]string, error) {
	path := filepath.Join(o.dir, "cpp", "cpp.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var flags []string
	for _, group := range file.Comments {
		for _, comment := range group.List {
			for _, line := range strings.Split(comment.Text, "\n") {
				line = strings.TrimSpace(strings.TrimPrefix(line, "//"))
				if strings.HasPrefix(line, "#cgo ") {
					flags = append(flags, line)
				}
			}
		}
	}
	if len(flags) == 0 {
		return nil, fmt.Errorf("%s has no #cgo lines", path)
	}
	return flags, nil
}

// mergeCore returns a Go file of nsenter without its import of the core, and, where it imports "C",
// with the core's #cgo flags at the start of the preamble. A file with neither comes back as it is.
func mergeCore(name string, text []byte, corePath string, flags []string) ([]byte, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return nil, err
	}
	type edit struct {
		from, to int
		text     string
	}
	var edits []edit
	offset := func(pos token.Pos) int { return fset.Position(pos).Offset }
	for _, decl := range file.Decls {
		imports := decl.(*ast.GenDecl)
		for _, spec := range imports.Specs {
			path, err := strconv.Unquote(spec.(*ast.ImportSpec).Path.Value)
			if err != nil {
				return nil, err
			}
			if (path == "C" || path == corePath) && (len(imports.Specs) != 1 || imports.Doc == nil && path == "C") {
				return nil, fmt.Errorf("%s: the import of %q has to be a declaration of its own, that of \"C\" with a preamble",
					name, path)
			}
			switch path {
			case "C":
				at := offset(imports.Doc.Pos())
				edits = append(edits, edit{at, at, "// " + strings.Join(flags, "\n// ") + "\n"})
			case corePath:
				from := imports.Pos()
				if imports.Doc != nil {
					from = imports.Doc.Pos()
				}
				edits = append(edits, edit{offset(from), offset(imports.End()), ""})
			}
		}
	}
	sort.Slice(edits, func(i, j int) bool { return edits[i].from > edits[j].from })
	out := string(text)
	for _, e := range edits { // from the end, so that the offsets before stay right
		out = out[:e.from] + e.text + out[e.to:]
	}
	return []byte(out), nil
}

// writeGenerated writes the files to outDir and returns its absolute path. The default is a folder
// named after the contents, so that an overlay printed earlier, from other sources, stays right.
func writeGenerated(files map[string][]byte, outDir string) (string, error) {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)

	if outDir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no folder for the generated Go files, say -out DIR: %w", err)
		}
		hash := sha256.New()
		for _, name := range names {
			fmt.Fprintf(hash, "%s %d\n%s", name, len(files[name]), files[name])
		}
		outDir = filepath.Join(cache, "nsenter-cpp", "runc-overlay", fmt.Sprintf("%x", hash.Sum(nil)[:8]))
	}
	outDir, err := filepath.Abs(outDir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(outDir, 0o777); err != nil {
		return "", err
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(outDir, name), files[name], 0o666); err != nil {
			return "", err
		}
	}
	return outDir, nil
}

// modulePath returns the module path that dir/go.mod declares.
func modulePath(dir string) (string, error) {
	file, err := os.Open(filepath.Join(dir, "go.mod"))
	if err != nil {
		return "", err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 2 && fields[0] == "module" {
			return strings.Trim(fields[1], `"`), nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", err
	}
	return "", fmt.Errorf("%s has no module line", file.Name())
}

// hasLine tells whether the file has a line that reads exactly so.
func hasLine(path, want string) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if lines.Text() == want {
			return true, nil
		}
	}
	return false, lines.Err()
}

// below tells whether path is dir or lies below it, symbolic links resolved where they can be.
func below(path, dir string) bool {
	for _, p := range []*string{&path, &dir} {
		if resolved, err := filepath.EvalSymlinks(*p); err == nil {
			*p = resolved
		}
	}
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
