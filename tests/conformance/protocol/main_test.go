// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package protocol tests a program that links an nsexec, black box, against tests/conformance/vectors and the
// classic protocol. See README.md.
package protocol

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"nsenter-cpp.example/tests/internal/harness"
)

// program is the one under test.
var program string

// deadline is how long a launch may take: the usual time, or on the slow machines that -test.short is for more.
func deadline() time.Duration {
	if testing.Short() {
		return 100 * time.Second
	}
	return 20 * time.Second
}

func TestMain(m *testing.M) {
	harness.Main()
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	program = os.Getenv("NSEXEC")
	if program != "" {
		if !filepath.IsAbs(program) {
			fmt.Fprintf(os.Stderr, "NSEXEC=%s: must be an absolute path: tests run in the folder of their package\n", program)
			return 2
		}
		if _, err := os.Stat(program); err != nil {
			fmt.Fprintln(os.Stderr, "NSEXEC:", err)
			return 2
		}
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "protocol")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "probe")
	if err := harness.BuildProbe(program); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return m.Run()
}
