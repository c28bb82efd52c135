// SPDX-License-Identifier: Apache-2.0

package runc_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const fdLeaksTimes = 5

// TestNoDescriptorIsLeftInTheParent: runc's own test of what a start leaves open in the parent. It sees what the reply
// makes of runc's Go code: for a stage1_pid that lives and is no child, that opens a pidfd, and leaves it to the
// garbage collector.
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
				program := filepath.Join(t.TempDir(), "integration.test")
				args := append([]string{"test", "-c", "-o", program, "-tags", buildTags}, flags...)
				if _, err := command(src, []string{"CGO_ENABLED=1"}, "go",
					append(args, "./libcontainer/integration")...); err != nil {
					t.Fatal(err)
				}
				ours, theirs, err := linkedNsexec(program)
				if err != nil {
					t.Fatal(err)
				}
				if (name == "ours") != (ours != 0) || (name == "ours") != (theirs == 0) {
					t.Fatalf("the program has %d symbols of ours and %d of runc's C code", ours, theirs)
				}
				// A garbage collector may close what is left open in time: 1.3's test does not keep it from that.
				output, err := command(filepath.Join(src, "libcontainer", "integration"), []string{"GOGC=off"}, program,
					"-test.v", "-test.run", "^TestFdLeaks$", "-test.count", fmt.Sprint(fdLeaksTimes))
				if err != nil {
					t.Fatal(err)
				}
				t.Log(output)
				// Where it thinks that it cannot run it passes, or is skipped.
				if n := strings.Count(output, "--- PASS: TestFdLeaks ("); n != fdLeaksTimes {
					t.Errorf("it passed %d times, want %d\n%s", n, fdLeaksTimes, output)
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

// A goroutine of runc's Go code closes the container's mount namespace some time after the start has ended, and the
// test may look before that. A pidfd that has leaked stays.
const (
	looksOnce  = "\tfds1 := fdList(t)\n"
	looksAgain = looksOnce + "\tfor i := 0; i < 100 && len(fds1) > len(fds0); i++ {\n" +
		"\t\ttime.Sleep(10 * time.Millisecond)\n\t\tfds1 = fdList(t)\n\t}\n"
)

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
	leaks := filepath.Join(dir, "libcontainer", "integration", "exec_test.go")
	text, err := os.ReadFile(leaks)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), looksOnce); n != 1 {
		return "", fmt.Errorf("runc %s looks %d times for descriptors that are left, not once", version, n)
	}
	changed := strings.Replace(string(text), looksOnce, looksAgain, 1)
	if !strings.Contains(changed, "\n\t\"time\"\n") {
		changed = strings.Replace(changed, "import (\n", "import (\n\t\"time\"\n", 1)
	}
	if err := os.WriteFile(leaks, []byte(changed), 0o644); err != nil {
		return "", err
	}
	getImages := filepath.Join(dir, "tests", "integration", "get-images.sh")
	if err := os.WriteFile(getImages, []byte("#!/bin/sh\necho BUSYBOX_IMAGE="+image+"\n"), 0o755); err != nil {
		return "", err
	}
	return dir, os.Chmod(getImages, 0o755)
}
