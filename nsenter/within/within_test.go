// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"nsenter-cpp.example/internal/kernel"
	"nsenter-cpp.example/internal/testutil"
)

// view is what a function sees of its surroundings.
type view struct {
	Pid        int
	Namespaces map[string]string
	UID, GID   int
	Groups     []int
	Env        []string
	Args       []string
	Cwd        string
	Files      map[int]string
	UIDMap     string
	TimeOffset string
}

var look = Register("test.look", func(context.Context, struct{}) (view, error) {
	v := view{
		Pid:        os.Getpid(),
		Namespaces: make(map[string]string),
		UID:        os.Getuid(),
		GID:        os.Getgid(),
		Env:        os.Environ(),
		Args:       os.Args,
		Files:      make(map[int]string),
	}
	v.Cwd, _ = os.Getwd()
	v.Groups, _ = os.Getgroups()
	for _, kind := range All.Each() {
		v.Namespaces[kind.String()], _ = os.Readlink("/proc/thread-self/ns/" + kind.String())
	}
	for fd := range 64 {
		target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		if err == nil && !strings.HasPrefix(target, "anon_inode:[event") {
			v.Files[fd] = target
		}
	}
	text, _ := os.ReadFile("/proc/self/uid_map")
	v.UIDMap = strings.Join(strings.Fields(string(text)), " ")
	text, _ = os.ReadFile("/proc/self/timens_offsets")
	v.TimeOffset = strings.Join(strings.Fields(string(text)), " ")
	return v, nil
})

// seen looks at a session's process from outside.
func seen(t *testing.T, p *Proc) map[Namespaces]string {
	t.Helper()
	s, err := p.Start(deadline(t, short))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	links := make(map[Namespaces]string)
	for _, kind := range All.Each() {
		links[kind] = namespaceOf(t, s.Pid(), kind)
	}
	// It does run, too.
	if _, err := look.Call(deadline(t, short), s, struct{}{}); err != nil {
		t.Error(err)
	}
	return links
}

// way is one of the ways into one kind of namespace.
type way struct {
	kind Namespaces
	name string // "create", or how it is joined
	proc *Proc
}

// waysInto are all kinds of namespaces of a process, joined in each way, or created. A caller who is not
// root comes in by the user namespace that owns them.
func waysInto(pid int, pidfd *os.File, rootless bool) (ways []way, closeFiles func(), err error) {
	var files []*os.File
	closeFiles = func() {
		for _, file := range files {
			file.Close()
		}
	}
	for _, kind := range All.Each() {
		path := fmt.Sprintf("/proc/%d/ns/%v", pid, kind)
		file, err := os.Open(path)
		if err != nil {
			return nil, closeFiles, err
		}
		files = append(files, file)
		for name, target := range map[string]Target{
			"pid":   Of(pid, kind),
			"pidfd": OfPidfd(pidfd, kind),
			"path":  Path(kind, path),
			"fd":    FD(kind, file),
		} {
			if rootless && kind != User {
				target = target.And(Of(pid, User))
			}
			ways = append(ways, way{kind, name, &Proc{Target: target}})
		}
		create := &Proc{New: kind}
		if rootless {
			create.New |= User
		}
		ways = append(ways, way{kind, "create", create})
	}
	return ways, closeFiles, nil
}

// check calls a function that looks around, in a session of its own, and says what is not as it should be.
// The namespaces of the target are as the caller sees them.
func (w way) check(ctx context.Context, target map[Namespaces]string) error {
	s, err := w.proc.Start(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	v, err := look.Call(ctx, s, struct{}{})
	if err != nil {
		return err
	}
	if v.UID != 0 || v.GID != 0 {
		return fmt.Errorf("uid %d, gid %d", v.UID, v.GID)
	}
	// Whoever is in another pid namespace than /proc is not to be seen there.
	inside := v.Pid != s.Pid()
	if inside != (w.kind == PID) {
		return fmt.Errorf("pid %d inside is %d outside", v.Pid, s.Pid())
	}
	if inside {
		// The target's pid 1 was there before.
		if (v.Pid == 1) != (w.name == "create") {
			return fmt.Errorf("pid %d inside", v.Pid)
		}
		return nil
	}
	for _, kind := range All.Each() {
		own, err := os.Readlink("/proc/thread-self/ns/" + kind.String())
		if err != nil {
			return err
		}
		got, theirs := v.Namespaces[kind.String()], target[kind]
		switch {
		case kind != w.kind && kind == User && (w.proc.New.Has(User) || got == theirs):
			// which a caller who is not root cannot do without
		case kind != w.kind:
			if got != own {
				return fmt.Errorf("the %v namespace is another one", kind)
			}
		case w.name == "create":
			if got == own || got == theirs {
				return fmt.Errorf("the %v namespace is not new", kind)
			}
		case got != theirs:
			return fmt.Errorf("the %v namespace is not joined", kind)
		}
	}
	return nil
}

func namespacesOf(pid int) map[Namespaces]string {
	links := make(map[Namespaces]string)
	for _, kind := range All.Each() {
		links[kind], _ = os.Readlink(fmt.Sprintf("/proc/%d/ns/%v", pid, kind))
	}
	return links
}

// TestKinds is the table: each kind of namespace, joined in each way, or created.
func TestKinds(t *testing.T) {
	requireRoot(t)
	testutil.RequireAllNamespaces(t)
	target := fixture(t, All, "")
	nothingLeft(t)
	pidfd := openPidfd(t, target)
	defer pidfd.Close()
	ways, closeFiles, err := waysInto(target, pidfd, false)
	defer closeFiles()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range ways {
		t.Run(fmt.Sprintf("%v by %s", w.kind, w.name), func(t *testing.T) {
			if err := w.check(deadline(t, short), namespacesOf(target)); err != nil {
				t.Error(err)
			}
			if w.kind != PID {
				return
			}
			link, theirs := seen(t, w.proc)[PID], namespaceOf(t, target, PID)
			if (link == theirs) == (w.name == "create") || link == namespaceOf(t, os.Getpid(), PID) {
				t.Errorf("the pid namespace is %s, the target's %s", link, theirs)
			}
		})
	}
}

// TestKindByName: where the kernel does not answer the process that asks an open file for its type.
func TestKindByName(t *testing.T) {
	for _, kind := range All.Each() {
		file, err := os.Open("/proc/self/ns/" + kind.String())
		if errors.Is(err, os.ErrNotExist) {
			continue // a kernel without it
		}
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if got := kindOf(file); got != kind {
			t.Errorf("a %v namespace is taken for %v", kind, got)
		}
	}
	regular, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer regular.Close()
	if got := kindOf(regular); got != 0 {
		t.Errorf("a file is taken for a %v namespace", got)
	}
}

func openPidfd(t testing.TB, pid int) *os.File {
	t.Helper()
	fd, _, errno := syscall.Syscall(kernel.Call(434), uintptr(pid), 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	return os.NewFile(fd, "pidfd")
}

func TestAllAndNew(t *testing.T) {
	requireRoot(t)
	testutil.RequireAllNamespaces(t)
	target := fixture(t, All, "")
	nothingLeft(t)
	for kind, link := range seen(t, &Proc{Target: Of(target, All)}) {
		if link != namespaceOf(t, target, kind) {
			t.Errorf("the %v namespace is not joined", kind)
		}
	}
	links := seen(t, &Proc{Target: Of(target, User|Net).And(Path(UTS, fmt.Sprintf("/proc/%d/ns/uts", target))), New: IPC})
	for kind, link := range links {
		theirs, own := namespaceOf(t, target, kind), namespaceOf(t, os.Getpid(), kind)
		switch kind {
		case User, Net, UTS:
			if link != theirs {
				t.Errorf("the %v namespace is not joined", kind)
			}
		case IPC:
			if link == theirs || link == own {
				t.Errorf("the %v namespace is not new", kind)
			}
		default:
			if link != own {
				t.Errorf("the %v namespace is another one", kind)
			}
		}
	}
}
