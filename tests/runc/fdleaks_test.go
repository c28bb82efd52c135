// SPDX-License-Identifier: Apache-2.0

package runc_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoDescriptorIsLeftInTheParent: runc's own test of what a start leaves open in the parent, as it stands in its source. It
// sees what the reply makes of runc's Go code: for a stage 1 that lives and is no child, that opens a pidfd, and leaves it to
// the garbage collector.
func TestNoDescriptorIsLeftInTheParent(t *testing.T) {
	requireMachine(t)
	requireTools(t, "tar")
	image := busyboxImage(t)
	for _, version := range []string{"v1.3.7", "v1.4.4", "v1.5.3"} { // the newest of each
		src, err := integrationSource(version, image)
		if err != nil {
			t.Fatal(err)
		}
		overlay, err := writeOverlay(src)
		if err != nil {
			t.Fatal(err)
		}
		for name, flags := range map[string][]string{"stock": nil, "ours": {"-overlay", overlay}} {
			t.Run(version+"-"+name, func(t *testing.T) {
				t.Cleanup(func() { noProcessLeft(t) })
				const times = 5
				args := append([]string{"test", "-v", "-tags", buildTags}, flags...)
				args = append(args, "-run", "^TestFdLeaks$", "-count", fmt.Sprint(times), "./libcontainer/integration")
				output, err := command(src, []string{"CGO_ENABLED=1"}, "go", args...)
				if err != nil {
					t.Fatal(err)
				}
				// Where it thinks that it cannot run it passes, or is skipped.
				if n := strings.Count(output, "--- PASS: TestFdLeaks ("); n != times {
					t.Errorf("it passed %d times, want %d\n%s", n, times, output)
				}
			})
		}
	}
}

// busyboxImage is a root file system as runc's tests unpack it.
func busyboxImage(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"bin", "dev", "etc", "proc", "root", "sys", "tmp"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(busybox())
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "bin", "busybox"), program, 0o755)
	}
	if err == nil {
		err = os.Symlink("busybox", filepath.Join(root, "bin", "true"))
	}
	image := filepath.Join(t.TempDir(), "busybox.tar")
	if err == nil {
		_, err = command(".", nil, "tar", "-C", root, "-cf", image, ".")
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// integrationSource is a copy of runc's source of a version whose tests take our image and do not download theirs.
func integrationSource(version, image string) (string, error) {
	src, err := sourceOf(runcModule + "@" + version)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(filepath.Dir(src), "integration")
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := copyTree(src, dir); err != nil {
		return "", err
	}
	// Of the vendored modules a module has only the list.
	if err := os.RemoveAll(filepath.Join(dir, "vendor")); err != nil {
		return "", err
	}
	getImages := filepath.Join(dir, "tests", "integration", "get-images.sh")
	if err := os.WriteFile(getImages, []byte("#!/bin/sh\necho BUSYBOX_IMAGE="+image+"\n"), 0o755); err != nil {
		return "", err
	}
	return dir, os.Chmod(getImages, 0o755)
}
