// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

// Command container runs a program in a container: with a root of its own, as pid 1, without network,
// rootless if its user is.
//
//	container [-hostname NAME] ROOT PROGRAM [ARGUMENT...]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"nsenter-cpp.example/nsenter/within"
)

// Config is what the container's side has to know.
type Config struct {
	Root, Hostname string
	Command        []string
}

// Run is pid 1 of the container. It sets up what the kernel cannot be asked for beforehand, and then
// waits for the program, whose exit status it returns; within reaps orphans meanwhile.
var run = within.Register("container.run", func(_ context.Context, c Config) (int, error) {
	if err := setUp(c); err != nil {
		return 0, err
	}
	program := exec.Command(c.Command[0], c.Command[1:]...)
	program.Stdin, program.Stdout, program.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := program.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, err
})

// devices are bound from the outside: a user namespace can make none.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

func setUp(c Config) error {
	if err := syscall.Sethostname([]byte(c.Hostname)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	// Before anything is mounted: nothing of it shall be seen outside.
	if err := mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	// A new root has to be a mount.
	if err := mount(c.Root, c.Root, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return err
	}
	for _, m := range []struct {
		kind, at, data string
		flags          uintptr
	}{
		// Before pivot_root: a new procfs is allowed only where a complete one can be seen.
		{"proc", "proc", "", syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC},
		{"tmpfs", "dev", "mode=755,size=64k", syscall.MS_NOSUID | syscall.MS_NOEXEC},
		{"tmpfs", "tmp", "mode=1777", syscall.MS_NOSUID | syscall.MS_NODEV},
	} {
		at := filepath.Join(c.Root, m.at)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
		if err := mount(m.kind, at, m.kind, m.flags, m.data); err != nil {
			return err
		}
	}
	for _, name := range devices {
		at := filepath.Join(c.Root, "dev", name)
		if err := os.WriteFile(at, nil, 0o666); err != nil {
			return err
		}
		if err := mount("/dev/"+name, at, "", syscall.MS_BIND, ""); err != nil {
			return err
		}
	}
	return enter(c.Root)
}

func mount(source, at, kind string, flags uintptr, data string) error {
	if err := syscall.Mount(source, at, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s: %w", at, err)
	}
	return nil
}

// enter makes a folder the root and lets go of the old one, which is then not even reachable.
func enter(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	// Onto itself: the old root then lies on top of the new one, at ".".
	if err := syscall.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := syscall.Unmount(".", syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the old root: %w", err)
	}
	return os.Chdir("/")
}

func main() {
	within.Init()
	hostname := flag.String("hostname", "container", "name of the container")
	flag.Parse()
	if flag.NArg() < 2 {
		fmt.Fprintln(os.Stderr, "usage: container [-hostname NAME] ROOT PROGRAM [ARGUMENT...]")
		os.Exit(2)
	}
	root, err := filepath.Abs(flag.Arg(0))
	if err == nil {
		var status int
		if status, err = start(Config{root, *hostname, flag.Args()[1:]}); err == nil {
			os.Exit(status)
		}
	}
	fmt.Fprintln(os.Stderr, "container:", err)
	os.Exit(1)
}

// start runs the container until it ends, or one of the usual signals ends it.
func start(c Config) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := &within.Proc{
		New: within.User | within.PID | within.Mount | within.Net | within.UTS | within.IPC | within.Cgroup,
		Env: []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"TERM=" + os.Getenv("TERM"),
			"HOME=/",
		},
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	return run.Call(ctx, p, c)
}
