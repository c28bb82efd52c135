// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	runRounds  = 60
	execRounds = 150
	// Commands of one block of the throughput measurement, and how many blocks each runc has.
	blockSize = 96
	blocks    = 3
)

var concurrencies = []int{1, 2, 8, 64}

// Whole is what was measured on whole commands, in milliseconds.
type whole struct {
	run, exec map[string][]float64
	// Commands a second, for each concurrency.
	throughput  map[string]map[int][]float64
	withoutCrun string // why not, or empty
	seed        int
}

// Runtimes are the commands that run containers.
type runtimes struct {
	dir   string            // bundle and state
	paths map[string]string // label to program
}

const (
	stockRunc = "stock runc"
	ourRunc   = "runc on ours"
	crun      = "crun"
	utilLinux = "util-linux nsenter"
)

// CommandSteps is how often measureCommands tells its progress.
func commandSteps() int { return 3 + len(concurrencies) }

func measureCommands(seed int) (w *whole, err error) {
	progress("building runc")
	r := &runtimes{paths: map[string]string{}}
	if err := r.build(); err != nil {
		return nil, err
	}
	if r.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	if err := r.writeBundle(); err != nil {
		return nil, err
	}

	w = &whole{seed: seed, throughput: map[string]map[int][]float64{stockRunc: {}, ourRunc: {}}}
	// Crun is there for orientation, and does not like every machine's cgroups.
	if r.paths[crun] == "" {
		w.withoutCrun = "it is not installed"
	} else if err := r.runTrue(crun, 0); err != nil {
		lines := strings.Split(strings.TrimSpace(err.Error()), "\n") // the last is crun's own
		w.withoutCrun = lines[len(lines)-1]
		r.paths[crun] = ""
	}
	progress(fmt.Sprintf("run of /bin/true, %d rounds", runRounds))
	random := rand.New(rand.NewSource(int64(seed)))
	if w.run, err = paired(random, runRounds, r.labels(), r.runTrue); err != nil {
		return nil, err
	}

	stop, pid, err := r.startSleeper()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	progress(fmt.Sprintf("exec of /bin/true, %d rounds", execRounds))
	labels := r.labels()
	if path, err := exec.LookPath("nsenter"); err == nil {
		r.paths[utilLinux] = path
		labels = append(labels, utilLinux)
	}
	execTrue := func(label string, _ int) error { return r.execTrue(label, pid) }
	if w.exec, err = paired(random, execRounds, labels, execTrue); err != nil {
		return nil, err
	}
	for _, n := range concurrencies {
		progress(fmt.Sprintf("throughput of exec, %d at once", n))
		for range blocks {
			pair := []string{stockRunc, ourRunc}
			random.Shuffle(len(pair), func(i, j int) { pair[i], pair[j] = pair[j], pair[i] })
			for _, label := range pair {
				rate, err := throughput(n, func() error { return r.execTrue(label, pid) })
				if err != nil {
					return nil, err
				}
				w.throughput[label][n] = append(w.throughput[label][n], rate)
			}
		}
	}
	return w, nil
}

// Paired times each command once in each round, in an order that is drawn anew, after a few rounds of
// warm-up.
func paired(random *rand.Rand, rounds int, labels []string,
	run func(label string, n int) error) (map[string][]float64, error) {
	times := map[string][]float64{}
	n := 0
	for round := -3; round < rounds; round++ {
		random.Shuffle(len(labels), func(i, j int) { labels[i], labels[j] = labels[j], labels[i] })
		for _, label := range labels {
			n++
			start := time.Now()
			if err := run(label, n); err != nil {
				return nil, fmt.Errorf("%s: %w", label, err)
			}
			if round >= 0 {
				times[label] = append(times[label], float64(time.Since(start).Microseconds())/1000)
			}
		}
	}
	return times, nil
}

// Throughput runs a block of commands, n of them at once, and tells how many a second it were.
func throughput(n int, run func() error) (float64, error) {
	var left atomic.Int64
	left.Store(blockSize)
	failures := make(chan error, n)
	start := time.Now()
	var workers sync.WaitGroup
	for range n {
		workers.Go(func() {
			for left.Add(-1) >= 0 {
				if err := run(); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	workers.Wait()
	took := time.Since(start)
	close(failures)
	return blockSize / took.Seconds(), <-failures
}

// Labels are those of the commands that can run a container from nothing.
func (r *runtimes) labels() []string {
	labels := []string{stockRunc, ourRunc}
	if r.paths[crun] != "" {
		labels = append(labels, crun)
	}
	return labels
}

// Build builds runc from its module twice: as it is, and with our nsenter in the place of its own.
func (r *runtimes) build() error {
	text, err := command(filepath.Join(repoRoot(), "tests", "bench"), nil, "go", "list", "-m", "-json",
		"github.com/opencontainers/runc")
	if err != nil {
		return err
	}
	var module struct{ Dir, Version string }
	if err := json.Unmarshal([]byte(text), &module); err != nil {
		return err
	}
	// Overlays cannot lie on the module cache.
	src := filepath.Join(buildDir(), "runc-"+module.Version)
	if _, err := os.Stat(src); err != nil {
		partial := src + ".partial"
		if err := os.RemoveAll(partial); err != nil {
			return err
		}
		if err := os.CopyFS(partial, os.DirFS(module.Dir)); err != nil {
			return err
		}
		if _, err := command(".", nil, "chmod", "-R", "u+w", partial); err != nil {
			return err
		}
		if err := os.Rename(partial, src); err != nil {
			return err
		}
	}
	overlay := src + ".overlay.json"
	text, err = command(repoRoot(), nil, "go", "run", "./cmd/runc-overlay", "-out", src+".overlay", src)
	if err != nil {
		return err
	}
	if err := os.WriteFile(overlay, []byte(text), 0o644); err != nil {
		return err
	}
	for label, flags := range map[string][]string{stockRunc: nil, ourRunc: {"-overlay", overlay}} {
		r.paths[label] = filepath.Join(buildDir(), strings.ReplaceAll(label, " ", "-"), "runc")
		args := append([]string{"build", "-trimpath", "-buildmode=pie", "-tags", "seccomp urfave_cli_no_docs", "-o",
			r.paths[label]}, flags...)
		if _, err := command(src, []string{"CGO_ENABLED=1", "GOWORK=off"}, "go", append(args, ".")...); err != nil {
			return err
		}
		if err := copyInPages(r.paths[label], r.paths[label]); err != nil {
			return err
		}
	}
	if path, err := exec.LookPath(crun); err == nil {
		r.paths[crun] = path
	}
	return nil
}

func (r *runtimes) bundle() string { return filepath.Join(r.dir, "bundle") }

// WriteBundle makes a root file system with busybox only.
func (r *runtimes) writeBundle() error {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("containers are made of a static busybox: %w", err)
	}
	text, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	bin := filepath.Join(r.bundle(), "rootfs", "bin")
	for _, dir := range []string{bin, filepath.Join(r.bundle(), "rootfs", "proc"),
		filepath.Join(r.bundle(), "rootfs", "sys"), filepath.Join(r.bundle(), "rootfs", "dev")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(bin, "busybox"), text, 0o755); err != nil {
		return err
	}
	for _, applet := range []string{"true", "sleep"} {
		if err := os.Symlink("busybox", filepath.Join(bin, applet)); err != nil {
			return err
		}
	}
	if _, err := command(r.bundle(), nil, r.paths[stockRunc], "spec"); err != nil {
		return err
	}
	return r.setArgs("/bin/true")
}

// SetArgs changes what the container runs.
func (r *runtimes) setArgs(args ...string) error {
	config := filepath.Join(r.bundle(), "config.json")
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	var spec map[string]any
	if err := json.Unmarshal(text, &spec); err != nil {
		return err
	}
	process, ok := spec["process"].(map[string]any)
	if !ok {
		return errors.New("runc spec wrote no process")
	}
	// Older than what runc writes: crun 1.8 refuses versions that it has not heard of.
	spec["ociVersion"] = "1.0.2"
	process["terminal"] = false
	process["args"] = args
	if text, err = json.Marshal(spec); err != nil {
		return err
	}
	return os.WriteFile(config, text, 0o644)
}

// Each runtime has its state in a folder of its own; the two runcs, which differ in nsenter only, share
// one, so that both can enter the same container.
func (r *runtimes) root(label string) string {
	if label == crun {
		return filepath.Join(r.dir, "crun")
	}
	return filepath.Join(r.dir, "runc")
}

func (r *runtimes) call(label string, args ...string) error {
	return runQuietly(r.bundle(), r.paths[label], append([]string{"--root", r.root(label)}, args...)...)
}

// RunQuietly runs a command whose output is of interest only if it fails.
func runQuietly(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	// A file: a pipe would take a thread of ours to read from it, and wait for all processes that inherit it.
	log, err := os.CreateTemp("", "bench-log-")
	if err != nil {
		return err
	}
	defer log.Close()
	defer os.Remove(log.Name())
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(text))
	}
	return nil
}

func (r *runtimes) runTrue(label string, n int) error {
	return r.call(label, "run", "bench-"+strconv.Itoa(os.Getpid())+"-"+strconv.Itoa(n))
}

func sleeper() string { return "bench-" + strconv.Itoa(os.Getpid()) + "-sleeper" }

func (r *runtimes) execTrue(label, pid string) error {
	if label == utilLinux {
		return runQuietly("/", r.paths[label], "-t", pid, "-m", "-u", "-i", "-n", "-p", "/bin/true")
	}
	return r.call(label, "exec", sleeper(), "/bin/true")
}

// StartSleeper starts a container to enter, for runc and for crun each, and tells the pid of runc's.
func (r *runtimes) startSleeper() (stop func() error, pid string, err error) {
	if err := r.setArgs("/bin/sleep", "3600"); err != nil {
		return nil, "", err
	}
	labels := []string{stockRunc}
	if r.paths[crun] != "" {
		labels = append(labels, crun)
	}
	stop = func() error {
		var all error
		for _, label := range labels {
			all = errors.Join(all, r.call(label, "delete", "--force", sleeper()))
		}
		return all
	}
	file := filepath.Join(r.dir, "pid")
	for _, label := range labels {
		args := []string{"run", "--detach"}
		if label == stockRunc {
			args = append(args, "--pid-file", file)
		}
		if err := r.call(label, append(args, sleeper())...); err != nil {
			return nil, "", errors.Join(err, stop())
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, "", errors.Join(err, stop())
	}
	return stop, strings.TrimSpace(string(text)), nil
}

// Median of a command, in milliseconds.
func (w *whole) median(times map[string][]float64, label string) estimate {
	x := times[label]
	if x == nil {
		return missing
	}
	return bootstrap(w.seed, confidence, oneGroup(len(x)), func(m medians) float64 { return m(x) }, x)
}

// Ratio of the medians of two commands.
func (w *whole) ratio(times map[string][]float64, label, to string) estimate {
	x, y := times[label], times[to]
	if x == nil || y == nil {
		return missing
	}
	return bootstrap(w.seed, confidence, oneGroup(len(x)), func(m medians) float64 { return m(x) / m(y) }, x, y)
}
