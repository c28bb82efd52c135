// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	runcModule  = "github.com/opencontainers/runc"
	runcVersion = "v1.5.2"

	containerName = "nsenter-demo"
)

// container builds an unmodified runc on this nsenter, runs a container with it, and enters that again.
func container() (err error) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("busybox is the container's image: %w", err)
	}
	dir, err := os.MkdirTemp("", "nsenter-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	say("Building runc %s; the overlay replaces its nsenter by this one, no file of it is changed.", runcVersion)
	runc, err := buildRunc()
	if err != nil {
		return fmt.Errorf("failed to build runc: %w", err)
	}
	if err := makeBundle(dir, busybox); err != nil {
		return fmt.Errorf("failed to make a container image: %w", err)
	}

	d := demoRunc{binary: runc, dir: dir}
	say("\n$ runc run --detach %s", containerName)
	if _, err := d.run("start.log", "run", "--detach", "--bundle", dir, containerName); err != nil {
		return err
	}
	defer func() {
		if _, deleteErr := d.run("delete.log", "delete", "--force", containerName); deleteErr != nil && err == nil {
			err = deleteErr
		}
	}()
	if err := d.showLog("start.log", "create"); err != nil {
		return err
	}

	say("\n$ runc exec %s sh -c 'hostname; echo pid $$; ls /'", containerName)
	out, err := d.run("exec.log", "exec", containerName, "sh", "-c", "hostname; echo pid $$; ls /")
	if err != nil {
		return err
	}
	say("%s", indent(out))
	if !strings.HasPrefix(out, "inside-the-container\npid ") {
		return fmt.Errorf("this is not what a process in the container should see")
	}
	if err := d.showLog("exec.log", "enter"); err != nil {
		return err
	}
	say("\nAll as expected: runc ran a container and entered it, on this nsenter.")
	return nil
}

// demoRunc runs the runc that was built, with its state and its logs in dir.
type demoRunc struct{ binary, dir string }

func (d demoRunc) run(log string, args ...string) (string, error) {
	args = append([]string{"--root", filepath.Join(d.dir, "state"), "--debug", "--log",
		filepath.Join(d.dir, log), "--log-format", "json"}, args...)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// Files and not pipes: a detached container keeps its standard output open.
	output, err := os.Create(filepath.Join(d.dir, "output"))
	if err != nil {
		return "", err
	}
	defer output.Close()
	cmd := exec.CommandContext(ctx, d.binary, args...)
	cmd.Stdout, cmd.Stderr = output, output
	err = cmd.Run()
	text, readErr := os.ReadFile(output.Name())
	if err == nil {
		err = readErr
	}
	if err != nil {
		return "", fmt.Errorf("runc %s: %w\n%s", strings.Join(args, " "), err, text)
	}
	return string(text), nil
}

// showLog prints the lines in the log that nsexec wrote, from its first to its last, which both have to be there.
func (d demoRunc) showLog(name, purpose string) error {
	log, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		return err
	}
	say("What nsexec logged (--debug) while it made the process that would %s the container:", purpose)
	var lines []string
	for _, line := range bytes.Split(log, []byte("\n")) {
		var record struct{ Level, Msg string }
		if json.Unmarshal(line, &record) == nil && strings.HasPrefix(record.Msg, "nsexec") {
			lines = append(lines, record.Msg)
			say("  %-6s %s", record.Level, record.Msg)
		}
	}
	all := strings.Join(lines, "\n")
	for _, expected := range []string{"=> nsexec container setup", "<= nsexec container setup"} {
		if !strings.Contains(all, expected) {
			return fmt.Errorf("the line %q is missing", expected)
		}
	}
	return nil
}

// buildRunc returns the path of a runc that was built from its module with the overlay.
func buildRunc() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	work := filepath.Join(cache, "nsenter-cpp-demo")
	source := filepath.Join(work, "runc-"+runcVersion)
	if err := fetchRunc(source); err != nil {
		return "", err
	}
	overlay := filepath.Join(work, "overlay.json")
	text, err := output(".", "go", "run", "nsenter-cpp.example/cmd/runc-overlay", source)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, []byte(text), 0o644); err != nil {
		return "", err
	}
	binary := filepath.Join(work, "runc")
	_, err = output(source, "go", "build", "-tags", "seccomp", "-overlay", overlay, "-o", binary, ".")
	return binary, err
}

// fetchRunc makes target a copy of runc's module: the go command takes no overlay for its own cache.
func fetchRunc(target string) error {
	if _, err := os.Stat(filepath.Join(target, "go.mod")); err == nil {
		return nil
	}
	text, err := output(".", "go", "mod", "download", "-json", runcModule+"@"+runcVersion)
	if err != nil {
		return err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal([]byte(text), &module); err != nil {
		return err
	}
	// Under another name until it is whole, so that an interrupted copy is not taken for one.
	partial := target + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := copyTree(partial, module.Dir); err != nil {
		return err
	}
	return os.Rename(partial, target)
}

func copyTree(target, source string) error {
	return filepath.Walk(source, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		copied := filepath.Join(target, relative)
		if info.IsDir() {
			return os.MkdirAll(copied, 0o755)
		}
		return copyFile(copied, path, 0o644)
	})
}

func copyFile(target, source string, mode os.FileMode) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// makeBundle makes dir a bundle: a root file system that is busybox, and runc's example configuration with
// another command and hostname.
func makeBundle(dir, busybox string) error {
	bin := filepath.Join(dir, "rootfs", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(bin, "busybox"), busybox, 0o755); err != nil {
		return err
	}
	for _, tool := range []string{"sh", "sleep", "ls", "hostname"} {
		if err := os.Symlink("busybox", filepath.Join(bin, tool)); err != nil {
			return err
		}
	}
	config := map[string]interface{}{
		"ociVersion": "1.0.2",
		"process": map[string]interface{}{
			"args": []string{"sleep", "60"},
			"env":  []string{"PATH=/bin"},
			"cwd":  "/",
		},
		"root":     map[string]interface{}{"path": "rootfs"},
		"hostname": "inside-the-container",
		"mounts": []interface{}{
			map[string]interface{}{"destination": "/proc", "type": "proc", "source": "proc"},
		},
		"linux": map[string]interface{}{
			"namespaces": []interface{}{
				map[string]string{"type": "pid"}, map[string]string{"type": "network"},
				map[string]string{"type": "ipc"}, map[string]string{"type": "uts"},
				map[string]string{"type": "mount"},
			},
		},
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644)
}

// output runs a command in folder and returns what it printed on standard output.
func output(folder, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out), nil
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}
