// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command corpus writes the inputs that the fuzzers start from: the vectors, as each fuzzer wants
// them, and the cases that were found before.
//
//	go run ./tests/fuzz/corpus VECTORS FOUND OUT
//
// VECTORS is tests/conformance/vectors; FOUND has a folder for each fuzzer with files of hexadecimal bytes
// (NAME.hex, # begins a comment); OUT gets a folder of binary files for each fuzzer.
package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"nsenter-cpp.example/tests/internal/vectors"
)

// letters stand for the variables in a script, as in tests/fuzz/script.cc.
var letters = map[string]byte{
	"_LIBCONTAINER_INITPIPE":     'P',
	"_LIBCONTAINER_INITPID":      'I',
	"_LIBCONTAINER_CONSOLE_PATH": 'C',
	"_LIBCONTAINER_LOGPIPE":      'L',
	"_LIBCONTAINER_LOGLEVEL":     'V',
	"_LIBCONTAINER_MOUNT_FDS":    'M',
	"_LIBCONTAINER_STATEDIR":     'S',
	"_LIBCONTAINER_SYNCPIPE":     'Y',
	"NSEXEC_COPY_MEMORY":         'N',
}

// What follows the sections of a script: a set of WorldBit, and a Role, with more of WorldBit added where the
// machine is another one.
const (
	worldPlain        = 0
	worldUnprivileged = 1 << 4
	worldThreaded     = 1 << 6

	followLaunched = 0
	followHelper   = 1
	followInit     = 2
	followWaiter   = 3

	builtToCopy = 1 << 2
	noSequences = 1 << 5
	beingLoaded = 1 << 6
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: corpus VECTORS FOUND OUT")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

func write(from, found, to string) error {
	table, err := vectors.Read(from)
	if err != nil {
		return err
	}
	for _, v := range table {
		script := encode(environment(v), v.Message)
		inputs := map[string][]byte{
			"message/" + v.Name:     v.Message,
			"environment/" + v.Name: append(script, worldPlain),
		}
		for _, world := range []byte{worldPlain, worldUnprivileged, worldThreaded} {
			for _, follow := range []byte{followLaunched, followHelper, followInit, followWaiter} {
				for _, role := range []byte{follow, follow + builtToCopy, follow + noSequences} {
					inputs[fmt.Sprintf("launch/%s-%d-%d", v.Name, world, role)] = append(script, world, role)
				}
			}
		}
		inputs["launch/"+v.Name+"-being-loaded"] = append(script, worldPlain, followLaunched+beingLoaded)
		if !v.Broken() {
			addFaults(inputs, "launch/"+v.Name, script)
		}
		for name, input := range inputs {
			if err := writeFile(filepath.Join(to, name), input); err != nil {
				return err
			}
		}
	}
	return writeFound(found, to)
}

// addFaults lets each of the first calls fail, once for each errno that the core treats on its own, or answer
// otherwise.
func addFaults(inputs map[string][]byte, name string, script []byte) {
	const (
		calls  = 50
		eperm  = 1 // as in kErrors of tests/fuzz/model_kernel.cc
		einval = 2
		other  = 17 // behind the errnos: no error, but another answer
	)
	for _, follow := range []byte{followLaunched, followHelper, followInit} {
		for call := 0; call < calls; call++ {
			for _, fault := range []byte{eperm, einval, other} {
				if fault == other && follow != followInit {
					continue
				}
				input := append(script, worldPlain, follow)
				input = append(input, make([]byte, call)...)
				inputs[fmt.Sprintf("%s-%d-fault-%d-%d", name, follow, call, fault)] = append(input, fault)
			}
		}
	}
}

// environment is what the vector's launched process has, as entries of a script.
func environment(v vectors.Vector) []string {
	values := map[string]string{"_LIBCONTAINER_INITPIPE": "3", "_LIBCONTAINER_LOGPIPE": "4"}
	if v.Protocol() == "classic" {
		delete(values, "_LIBCONTAINER_LOGPIPE")
	}
	for _, setting := range v.All("env") {
		if i := strings.IndexByte(setting, '='); i >= 0 {
			values[setting[:i]] = setting[i+1:]
		} else {
			delete(values, setting)
		}
	}
	var entries []string
	for name, value := range values {
		if letter, known := letters[name]; known {
			entries = append(entries, string(letter)+value)
		}
	}
	sort.Strings(entries)
	return entries
}

// encode makes the sections of a script: see tests/fuzz/script.h.
func encode(entries []string, message []byte) []byte {
	var script []byte
	for _, section := range [][]byte{[]byte(strings.Join(entries, "\x00")), message} {
		script = append(script, bytes.ReplaceAll(section, []byte(`\`), []byte(`\\`))...)
		script = append(script, '\\', '.')
	}
	// No spare capacity: what is appended to one copy must not show in another.
	return script[:len(script):len(script)]
}

var comment = regexp.MustCompile(`#[^\n]*`)

func writeFound(found, to string) error {
	paths, err := filepath.Glob(filepath.Join(found, "*", "*.hex"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		digits := strings.Join(strings.Fields(comment.ReplaceAllString(string(text), "")), "")
		input, err := hex.DecodeString(digits)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		fuzzer := filepath.Base(filepath.Dir(path))
		name := "found-" + strings.TrimSuffix(filepath.Base(path), ".hex")
		if err := writeFile(filepath.Join(to, fuzzer, name), input); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o666)
}
