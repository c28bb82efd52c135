// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPictures demands that the pictures in the tree are those that their texts describe.
func TestPictures(t *testing.T) {
	texts, err := filepath.Glob("../*.txt")
	if err != nil || len(texts) == 0 {
		t.Fatalf("no texts: %v", err)
	}
	pictures, err := filepath.Glob("../*.svg")
	if err != nil || len(pictures) != len(texts) {
		t.Errorf("%d texts and %d pictures (%v)", len(texts), len(pictures), err)
	}
	for _, file := range texts {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := draw(string(text))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if got, err := os.ReadFile(pictureOf(file)); err != nil || string(got) != want {
			t.Errorf("%s is not what %s describes (%v): go run ./docs/pictures/draw", pictureOf(file), file, err)
		}
		for decoder := xml.NewDecoder(strings.NewReader(want)); ; {
			if _, err := decoder.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Errorf("%s: %v", file, err)
				break
			}
		}
	}
}

// TestErrors demands that a picture that cannot be right is refused.
func TestErrors(t *testing.T) {
	const start = "title: A picture\nlanes: a, b\n"
	for _, tt := range []struct{ text, want string }{
		{"", "no title"},
		{"title: A picture", "no title, or no lanes"},
		{start, `"b" is never created`},
		{start + "a => b: x\na => b: x", `"b" is created twice`},
		{start + "a -> b: x", `"b" does not exist`},
		{start + "note b: x", `"b" does not exist`},
		{start + "a => b: x\nb ~> a: x\nnote b: x", `"b" does not exist, or has ended`},
		{start + "a => b: x\nb ~> a: x\nb -> a: x", `"b" sends and does not run`},
		{start + "a => b: x\nwaits b\nb -> a: x", `"b" sends and does not run`},
		{start + "waits a\na => b: x", `"a" creates a process and does not run`},
		{start + "note c: x", `no lane: "c"`},
		{start + "note a: x\nnothing", "line 4: no colon"},
		{start + "what: x", "no such line"},
		{start + "note a: " + strings.Repeat("x", 51), "takes"},
		{start + "a => b: " + strings.Repeat("x", 51), "takes"},
	} {
		if _, err := draw(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v; want %q", tt.text, err, tt.want)
		}
	}
}
