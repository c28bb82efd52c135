// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package within

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
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

// TestKinds is the table: each kind of namespace, joined in each way, or created.
func TestKinds(t *testing.T) {
	requireRoot(t)
	target := fixture(t, All, "")
	nothingLeft(t)
	pidfd := openPidfd(t, target)
	for _, kind := range All.Each() {
		path := fmt.Sprintf("/proc/%d/ns/%v", target, kind)
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for name, p := range map[string]*Proc{
			"pid":    {Target: Of(target, kind)},
			"pidfd":  {Target: OfPidfd(pidfd, kind)},
			"path":   {Target: Path(kind, path)},
			"fd":     {Target: FD(kind, file)},
			"create": {New: kind},
		} {
			t.Run(fmt.Sprintf("%v by %s", kind, name), func(t *testing.T) {
				for other, link := range seen(t, p) {
					own, theirs := namespaceOf(t, os.Getpid(), other), namespaceOf(t, target, other)
					switch {
					case other != kind:
						if link != own {
							t.Errorf("the %v namespace is another one", other)
						}
					case name == "create":
						if link == own || link == theirs {
							t.Errorf("the %v namespace is not new", other)
						}
					case link != theirs:
						t.Errorf("the %v namespace is not joined", other)
					}
				}
			})
		}
	}
	pidfd.Close()
}

func openPidfd(t *testing.T, pid int) *os.File {
	t.Helper()
	fd, _, errno := syscall.Syscall(434, uintptr(pid), 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	return os.NewFile(fd, "pidfd")
}

func TestAllAndNew(t *testing.T) {
	requireRoot(t)
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
