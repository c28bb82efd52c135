// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package bootstrap

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nsenter-cpp.example/internal/testutil"
)

// A vector is what tests/conformance/vectors says of the parser.
type vector struct {
	name    string
	message []byte
	page    string   // its size, if only then it is so
	refusal string   // parse-error
	fields  []string // parsed
	parse   string
}

// readVectors reads the parser's part of the table; tests/conformance/vectors/README.md has the format.
func readVectors(t testing.TB) []vector {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		testutil.Require(t, false, "a little-endian machine: the messages of tests/conformance/vectors are in that order")
	}
	paths, err := filepath.Glob("../../tests/conformance/vectors/*.vectors")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no vectors (%v)", err)
	}
	var vectors []vector
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(line, "[") {
				vectors = append(vectors, vector{name: strings.Trim(line, "[]")})
				continue
			}
			key, value, found := strings.Cut(line, ": ")
			if !found || line[0] == '#' {
				continue
			}
			if err := vectors[len(vectors)-1].add(key, value); err != nil {
				t.Fatalf("%s: %q: %v", path, line, err)
			}
		}
	}
	return vectors
}

func (v *vector) add(key, value string) error {
	switch key {
	case "page":
		v.page = value
	case "parse-error":
		v.refusal = unescape(value)
	case "parsed":
		v.fields = append(v.fields, unescape(value))
	case "parse":
		v.parse = value
	case "hex", "fill":
		digits, _, _ := strings.Cut(value, "#")
		words, count := strings.Fields(digits), 1
		if key == "fill" {
			var err error
			if count, err = strconv.Atoi(words[0]); err != nil {
				return err
			}
			words = words[1:]
		}
		piece, err := hex.DecodeString(strings.Join(words, ""))
		if err != nil {
			return err
		}
		for range count {
			v.message = append(v.message, piece...)
		}
	}
	return nil
}

func unescape(text string) string { return strings.ReplaceAll(text, `\n`, "\n") }

// fields are those of the table, in the order of the C++ test's.
func (w *wire) fields() []string {
	var fields []string
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, name+" "+value)
		}
	}
	truth := func(name string, value bool) {
		if value {
			fields = append(fields, name+" 1")
		}
	}
	if w.cloneFlags != 0 {
		add("clone-flags", fmt.Sprintf("0x%x", uint32(w.cloneFlags)))
	}
	for _, join := range w.joins {
		add("namespace "+join.Kind.String(), join.Path)
	}
	add("uid-map", w.uidMap)
	add("gid-map", w.gidMap)
	truth("setgroup", w.setgroup)
	add("oom-score-adj", w.oomScoreAdj)
	truth("rootless-euid", w.rootless)
	add("uid-map-tool", w.uidMapTool)
	add("gid-map-tool", w.gidMapTool)
	add("time-offsets", w.timeOffsets)
	return fields
}

func TestVectors(t *testing.T) {
	var accepted, refused int
	for _, v := range readVectors(t) {
		if len(v.message) == 0 || v.parse == "none" {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			if v.page != "" {
				testutil.Require(t, v.page == strconv.Itoa(os.Getpagesize()), "pages of "+v.page+" bytes")
			}
			w, err := parse(v.message)
			if v.refusal != "" {
				refused++
				if err == nil || err.Error() != v.refusal {
					t.Fatalf("got %v\nwant %s", err, v.refusal)
				}
				return
			}
			accepted++
			if err != nil {
				t.Fatal(err)
			}
			got, want := w.fields(), slices.Clone(v.fields)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			checkRoundTrip(t, v.message)
		})
	}
	if accepted < 50 || refused < 40 {
		t.Errorf("%d vectors accepted and %d refused: the table was larger", accepted, refused)
	}
}

// checkRoundTrip: what a message means does not change when it is decoded and encoded again.
func checkRoundTrip(t *testing.T, message []byte) {
	t.Helper()
	m, err := Decode(message)
	if err != nil {
		return // offsets that only the kernel refuses
	}
	again, err := m.Encode()
	if err != nil {
		// What only the kernel would refuse, which Encode does not let through.
		if strings.Contains(err.Error(), "map the same id") || strings.Contains(err.Error(), "largest id") {
			return
		}
		t.Fatalf("%+v cannot be encoded again: %v", m, err)
	}
	n, err := Decode(again)
	if err != nil {
		t.Fatalf("%+v cannot be decoded again: %v", m, err)
	}
	if got, want := describe(n), describe(m); got != want {
		t.Errorf("after another round %s\nbefore it          %s", got, want)
	}
}

// describe makes a Message comparable: its pointer is replaced by what it points to.
func describe(m *Message) string {
	flat, adjustment := *m, "none"
	if m.OOMScoreAdj != nil {
		adjustment = strconv.Itoa(*m.OOMScoreAdj)
		flat.OOMScoreAdj = nil
	}
	return fmt.Sprintf("%+v, oom score adjustment %s", flat, adjustment)
}
