// SPDX-License-Identifier: Apache-2.0

// Runc-overlay prints the file for `go build -overlay` that puts this module's nsenter in the place
// of runc's libcontainer/nsenter.
//
//	go run nsenter-cpp.example/cmd/runc-overlay [-nsenter DIR] [-out DIR] RUNC_DIR|VENDOR_DIR
//
// RUNC_DIR is a checkout of runc, or a copy of its module's folder. VENDOR_DIR is a vendor folder
// that holds github.com/opencontainers/runc. Neither is changed: not a source, not go.mod, not the
// vendor folder's list. The paths in the overlay are absolute, so `go build` can be run from anywhere.
//
// -nsenter names the folder of this module's sources; the default is where this command was built
// from. -out names the folder for the Go files that have to be generated (see overlay.go); the
// default is one in the user's cache, named after the contents.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

func main() {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: runc-overlay [-nsenter DIR] [-out DIR] RUNC_DIR|VENDOR_DIR")
		flag.PrintDefaults()
	}
	nsenterDir := flag.String("nsenter", "",
		"`folder` of the nsenter-cpp sources (default: where this command was built from)")
	outDir := flag.String("out", "", "`folder` for the generated Go files (default: one in the user's cache)")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	modCache, err := goModCache()
	if err == nil {
		err = run(os.Stdout, flag.Arg(0), *nsenterDir, *outDir, modCache)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "runc-overlay: %v\n", err)
		os.Exit(1)
	}
}

func run(w io.Writer, runcDir, nsenterDir, outDir, modCache string) error {
	t, err := findTheirs(runcDir, modCache)
	if err != nil {
		return err
	}
	o, err := loadOurs(nsenterDir)
	if err != nil {
		return err
	}
	replace, err := overlay(t, o, outDir)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "\t")
	return enc.Encode(struct{ Replace map[string]string }{replace})
}

// goModCache returns the folder below which the go command refuses overlays.
func goModCache() (string, error) {
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return "", fmt.Errorf("failed to run `go env GOMODCACHE`: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// builtFrom returns the root of the module that this command was built from, or "" if the build hid
// it (-trimpath).
func builtFrom() string {
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		return ""
	}
	return filepath.Join(filepath.Dir(file), "..", "..")
}
