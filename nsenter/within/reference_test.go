// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheReferenceIsComplete: each exported identifier of the packages has a comment, or is named in
// that of the type it belongs to, or of a field beside it.
func TestTheReferenceIsComplete(t *testing.T) {
	identifiers := 0
	for _, folder := range []string{"../bootstrap", "../parent", ".", "remote"} {
		paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("nothing in %s (%v)", folder, err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			documented := func(name *ast.Ident, comments ...*ast.CommentGroup) {
				if !name.IsExported() {
					return
				}
				identifiers++
				for _, comment := range comments {
					if strings.TrimSpace(comment.Text()) != "" {
						return
					}
				}
				t.Errorf("%s: %s has no comment", set.Position(name.Pos()), name)
			}
			for _, declaration := range file.Decls {
				switch d := declaration.(type) {
				case *ast.FuncDecl:
					if receiver := receiverOf(d); receiver == nil || receiver.IsExported() {
						documented(d.Name, d.Doc)
					}
				case *ast.GenDecl:
					for _, spec := range d.Specs {
						switch s := spec.(type) {
						case *ast.ValueSpec:
							for _, name := range s.Names {
								documented(name, d.Doc, s.Doc, s.Comment)
							}
						case *ast.TypeSpec:
							documented(s.Name, d.Doc, s.Doc)
							if structure, ok := s.Type.(*ast.StructType); ok && s.Name.IsExported() {
								checkFields(structure, documented, d.Doc, s.Doc)
							}
						}
					}
				}
			}
		}
	}
	if identifiers < 100 {
		t.Errorf("only %d identifiers were found", identifiers)
	}
}

func receiverOf(d *ast.FuncDecl) *ast.Ident {
	if d.Recv == nil {
		return nil
	}
	kind := d.Recv.List[0].Type
	if pointer, ok := kind.(*ast.StarExpr); ok {
		kind = pointer.X
	}
	switch k := kind.(type) {
	case *ast.IndexExpr:
		kind = k.X
	case *ast.IndexListExpr:
		kind = k.X
	}
	return kind.(*ast.Ident)
}

func checkFields(s *ast.StructType, documented func(*ast.Ident, ...*ast.CommentGroup), outer ...*ast.CommentGroup) {
	comments := outer
	for _, field := range s.Fields.List {
		comments = append(comments, field.Doc, field.Comment)
	}
	for _, field := range s.Fields.List {
		for _, name := range field.Names {
			own := []*ast.CommentGroup{field.Doc, field.Comment}
			for _, comment := range comments {
				if containsWord(comment.Text(), name.Name) {
					own = append(own, comment)
				}
			}
			documented(name, own...)
		}
	}
}

func containsWord(text, word string) bool {
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return !strings.ContainsRune(letters, r) }) {
		if w == word {
			return true
		}
	}
	return false
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
