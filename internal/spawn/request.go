// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package spawn

// #include "request.h"
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"nsenter-cpp.example/nsenter/bootstrap"
)

// request is the same for C++. The pinner keeps in their places all things that it points to.
func (s *Spec) request(pinner *runtime.Pinner) (*C.SpawnRequest, error) {
	r := &C.SpawnRequest{
		target:            -1,
		create_flags:      C.int32_t(s.Create),
		starts_session:    flag(s.NewSession),
		terminal:          number(s.Terminal),
		root:              number(s.Root),
		directory:         number(s.DirFD),
		no_new_privileges: flag(s.NoNewPrivileges),
		death_signal:      C.int32_t(s.DeathSignal),
		program:           number(s.Program),
		pidfd:             -1,
	}
	if s.Target != nil {
		r.target, r.target_flags = C.int32_t(s.Target.Pidfd), C.int32_t(s.Join)
	}
	var joins []C.SpawnJoin
	for _, n := range s.Joins {
		joins = append(joins, C.SpawnJoin{flag: C.int32_t(n.Kind), fd: C.int32_t(n.FD)})
	}
	r.joins, r.join_count = pin(pinner, joins), C.int32_t(len(joins))
	var files []C.int32_t
	for _, fd := range s.Files {
		files = append(files, C.int32_t(fd))
	}
	r.files, r.file_count = pin(pinner, files), C.int32_t(len(files))
	if s.Umask != nil {
		r.sets_umask, r.umask = 1, C.uint32_t(*s.Umask)
	}
	var limits []C.SpawnLimit
	for _, l := range s.limits() {
		limits = append(limits,
			C.SpawnLimit{resource: C.int32_t(l.Resource), soft: C.uint64_t(l.Cur), hard: C.uint64_t(l.Max)})
	}
	r.limits, r.limit_count = pin(pinner, limits), C.int32_t(len(limits))
	if s.DeathSignal != 0 && !s.entersPID() {
		r.parent = C.int32_t(os.Getpid())
	}
	if len(s.Seccomp) > 0xffff {
		return nil, fmt.Errorf("spawn: a seccomp filter of %d instructions: %w", len(s.Seccomp), syscall.EINVAL)
	}
	r.filter, r.filter_count = unsafe.Pointer(pin(pinner, s.Seccomp)), C.int32_t(len(s.Seccomp))
	s.addIdentity(r, pinner)
	return r, s.addTexts(r, pinner)
}

func (s *Spec) addIdentity(r *C.SpawnRequest, pinner *runtime.Pinner) {
	if c := s.Capabilities; c != nil {
		r.sets_capabilities = 1
		r.bounding, r.permitted, r.effective = C.uint64_t(c.Bounding), C.uint64_t(c.Permitted), C.uint64_t(c.Effective)
		r.inheritable, r.ambient = C.uint64_t(c.Inheritable), C.uint64_t(c.Ambient)
	}
	if s.Groups != nil {
		r.sets_groups, r.group_count = 1, C.int32_t(len(*s.Groups))
		r.groups = (*C.uint32_t)(pin(pinner, *s.Groups))
	}
	if s.IDs != nil {
		r.sets_ids, r.uid, r.gid = 1, C.uint32_t(s.IDs.UID), C.uint32_t(s.IDs.GID)
	}
}

func (s *Spec) addTexts(r *C.SpawnRequest, pinner *runtime.Pinner) error {
	arguments := s.Args
	if len(arguments) == 0 {
		arguments = []string{s.Path}
	}
	candidates, looksUp := s.candidates()
	r.looks_up = flag(looksUp)
	// All texts lie in one block. Of the first, which are no list, the path is there to be checked.
	var t texts
	t.list([]string{s.Dir, s.Path})
	t.list(candidates)
	t.list(arguments)
	t.list(s.Env)
	lists, err := t.pin(pinner)
	if err != nil {
		return err
	}
	if s.Dir != "" {
		r.directory_path = *lists[0]
	}
	r.candidates, r.arguments, r.environment = lists[1], lists[2], lists[3]
	return nil
}

// entersPID tells whether the program is in another pid namespace.
func (s *Spec) entersPID() bool { return (s.joined() | s.Create).Has(bootstrap.PID) }

func (s *Spec) joined() (kinds bootstrap.Namespaces) {
	if s.Target != nil {
		kinds = s.Join
	}
	for _, n := range s.Joins {
		kinds |= n.Kind
	}
	return kinds
}

// candidates are the paths that the program may have, and whether they come of a look-up.
func (s *Spec) candidates() (paths []string, looksUp bool) {
	if s.Program != nil || strings.Contains(s.Path, "/") {
		return []string{s.Path}, false
	}
	path := DefaultPath
	for _, setting := range s.Env {
		if value, found := strings.CutPrefix(setting, "PATH="); found {
			path = value
			break
		}
	}
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			dir = "."
		}
		paths = append(paths, filepath.Join(dir, s.Path))
	}
	return paths, true
}

// raisedFiles is the soft limit of open files that package os has set when this program started.
var raisedFiles = softFileLimit()

func softFileLimit() uint64 {
	var l syscall.Rlimit
	syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l)
	return uint64(l.Cur)
}

// limits are those to be set. Go's own limit of open files is not for programs, unless this one has set it itself.
func (s *Spec) limits() []Limit {
	before := uint64(C.NsenterSpawnFirstFileLimit())
	var own syscall.Rlimit
	if !s.FileLimitAtStart || before == raisedFiles ||
		syscall.Getrlimit(syscall.RLIMIT_NOFILE, &own) != nil || uint64(own.Cur) != raisedFiles {
		return s.Limits
	}
	own.Cur = before
	return append([]Limit{{syscall.RLIMIT_NOFILE, own}}, s.Limits...)
}

func flag(b bool) C.int32_t {
	if b {
		return 1
	}
	return 0
}

func number(fd *int) C.int32_t {
	if fd == nil {
		return -1
	}
	return C.int32_t(*fd)
}

// pin is the address of a slice's elements, which stay there, or nil.
func pin[T any](pinner *runtime.Pinner, list []T) *T {
	if len(list) == 0 {
		return nil
	}
	pinner.Pin(&list[0])
	return &list[0]
}

// texts are lists of texts as C has them: an array of pointers, with a null at the end.
type texts struct {
	bytes   []byte
	offsets []int // of a text in bytes; -1 at the end of a list
	lists   []int // where each begins in offsets
	err     error
}

func (t *texts) list(list []string) {
	t.lists = append(t.lists, len(t.offsets))
	for _, text := range list {
		if strings.Contains(text, "\x00") && t.err == nil {
			t.err = fmt.Errorf("spawn: a NUL in %q: %w", text, syscall.EINVAL)
		}
		t.offsets = append(t.offsets, len(t.bytes))
		t.bytes = append(append(t.bytes, text...), 0)
	}
	t.offsets = append(t.offsets, -1)
}

// pin is where each list begins.
func (t *texts) pin(pinner *runtime.Pinner) (lists []**C.char, err error) {
	block := pin(pinner, t.bytes)
	pointers := make([]*C.char, len(t.offsets))
	for i, offset := range t.offsets {
		if offset >= 0 {
			pointers[i] = (*C.char)(unsafe.Add(unsafe.Pointer(block), offset))
		}
	}
	pinner.Pin(&pointers[0])
	for _, begin := range t.lists {
		lists = append(lists, &pointers[begin])
	}
	return lists, t.err
}
