// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"nsenter-cpp.example/internal/kernel"
	"nsenter-cpp.example/nsenter/within"
)

// enterOptions are those of nsenter(1).
var enterOptions = []option{
	{'a', "all", none, "", "enter all namespaces of the target that are not this process's", ""},
	{'t', "target", required, "PID", "the process whose namespaces, directories and ids are meant", ""},
	{'m', "mount", optional, "FILE", "enter a mount namespace", ""},
	{'u', "uts", optional, "FILE", "enter a UTS namespace (hostname)", ""},
	{'i', "ipc", optional, "FILE", "enter an IPC namespace", ""},
	{'n', "net", optional, "FILE", "enter a network namespace", ""},
	{'p', "pid", optional, "FILE", "enter a pid namespace", ""},
	{'C', "cgroup", optional, "FILE", "enter a cgroup namespace", ""},
	{'U', "user", optional, "FILE", "enter a user namespace", ""},
	{0, "user-parent", none, "", "enter the user namespace that owns the namespaces to enter", ""},
	{'T', "time", optional, "FILE", "enter a time namespace", ""},
	{'S', "setuid", required, "UID", "the uid in there, or \"follow\": the target's", ""},
	{'G', "setgid", required, "GID", "the gid in there, or \"follow\": the target's", ""},
	{0, "preserve-credentials", none, "", "keep uid, gid and groups in a user namespace", ""},
	{0, "keep-caps", none, "", "keep the capabilities of a user namespace", ""},
	{'r', "root", optional, "DIR", "the root directory; without DIR the target's", ""},
	{'w', "wd", optional, "DIR", "the working directory; without DIR the target's", ""},
	{'W', "wdns", required, "DIR", "the working directory, as a path in there", ""},
	{'e', "env", none, "", "the environment of the target", ""},
	{'c', "join-cgroup", none, "", "enter the cgroups of the target", ""},
	{'F', "no-fork", none, "", "nothing: accepted where it makes no difference", ""},
	{'Z', "follow-context", none, "", "the SELinux label of the target", ""},
	{0, "like", required, "PID", "be as a process is: namespaces, ids, capabilities, filters, limits, cgroups", ""},
	{'N', "net-socket", required, "FD", "", "a socket's network namespace can be given as --net=FILE"},
	{'h', "help", none, "", "show this", ""},
	{'V', "version", none, "", "", "the version is that of the module: go version -m"},
}

var kindsByName = map[string]within.Namespaces{
	"mount": within.Mount, "uts": within.UTS, "ipc": within.IPC, "net": within.Net, "pid": within.PID,
	"cgroup": within.Cgroup, "user": within.User, "time": within.Time,
}

// entering is what the command line asks for.
type entering struct {
	target     int // 0: none
	like       int // 0: nobody
	all        bool
	kinds      within.Namespaces // of the target
	paths      map[within.Namespaces]string
	userParent bool
	uid, gid   *uint32
	followUID  bool
	followGID  bool
	preserve   bool
	keepCaps   bool
	root, dir  *string // "": the target's
	wdns       string
	env        bool
	cgroup     bool
	noFork     bool
	label      bool
}

// enterCommand is the program of a command line. It is nil if that asks for help.
func enterCommand(ctx context.Context, arguments []string) (*within.Cmd, error) {
	list, rest, err := parse(enterOptions, arguments)
	if err != nil {
		return nil, err
	}
	e := &entering{paths: make(map[within.Namespaces]string)}
	for _, g := range list {
		if g.long == "help" {
			fmt.Print("Usage:\n  within [options] [program [argument...]]\n  within new [options] [program [argument...]]\n\n" +
				"Run a program in other namespaces.\n\n" + help(enterOptions))
			return nil, nil
		}
		if err := e.take(g); err != nil {
			return nil, err
		}
	}
	p := &within.Proc{Env: os.Environ()}
	c := program(p, rest)
	c.Attr = &within.Attr{}
	if err := e.fill(c); err != nil {
		return nil, err
	}
	if e.like != 0 {
		return c, c.Confine(ctx, e.like)
	}
	return c, nil
}

func (e *entering) take(g given) error {
	if kind, isKind := kindsByName[g.long]; isKind {
		if g.hasValue {
			e.paths[kind] = g.argument
		} else {
			e.kinds |= kind
		}
		return nil
	}
	var err error
	switch g.long {
	case "all":
		e.all = true
	case "target":
		e.target, err = pidOf(g)
	case "like":
		e.like, err = pidOf(g)
	case "user-parent":
		e.userParent = true
	case "setuid":
		e.uid, e.followUID, err = idOf(g)
	case "setgid":
		e.gid, e.followGID, err = idOf(g)
	case "preserve-credentials":
		e.preserve = true
	case "keep-caps":
		e.keepCaps = true
	case "root":
		e.root = &g.argument
	case "wd":
		e.dir = &g.argument
	case "wdns":
		e.wdns = g.argument
	case "env":
		e.env = true
	case "join-cgroup":
		e.cgroup = true
	case "no-fork":
		e.noFork = true
	case "follow-context":
		e.label = true
	}
	return err
}

func pidOf(g given) (int, error) {
	pid, err := strconv.Atoi(g.argument)
	if err != nil || pid <= 0 {
		return 0, &usageError{fmt.Sprintf("--%s %q is no number of a process", g.long, g.argument)}
	}
	return pid, nil
}

func idOf(g given) (id *uint32, follow bool, err error) {
	if g.argument == "follow" {
		return nil, true, nil
	}
	number, err := strconv.ParseUint(g.argument, 10, 32)
	if err != nil || number == 1<<32-1 {
		return nil, false, &usageError{fmt.Sprintf("--%s %q is no id", g.long, g.argument)}
	}
	n := uint32(number)
	return &n, false, nil
}

// needsTarget is the first thing of the command line that is the target's, or "".
func (e *entering) needsTarget() string {
	for _, need := range []struct {
		is   bool
		name string
	}{{e.all, "all"}, {e.kinds != 0, ""}, {e.followUID, "setuid"}, {e.followGID, "setgid"},
		{e.root != nil && *e.root == "", "root"}, {e.dir != nil && *e.dir == "", "wd"}, {e.env, "env"},
		{e.cgroup, "join-cgroup"}, {e.label, "follow-context"}} {
		switch {
		case !need.is:
		case need.name == "":
			return optionOf(e.kinds.Each()[0])
		default:
			return need.name
		}
	}
	return ""
}

func optionOf(kind within.Namespaces) string {
	for name, k := range kindsByName {
		if k == kind {
			return name
		}
	}
	return ""
}

func (e *entering) fill(c *within.Cmd) error {
	if e.target == 0 {
		e.target = e.like
	}
	if name := e.needsTarget(); name != "" && e.target == 0 {
		return &usageError{fmt.Sprintf("--%s needs a --target", name)}
	}
	if e.cgroup && e.like != 0 {
		return &usageError{"--join-cgroup is a part of --like"}
	}
	kinds, err := e.namespaces(c.Proc)
	if err != nil {
		return err
	}
	if e.noFork && kinds.Has(within.PID) {
		return &usageError{"--no-fork with a pid namespace is left out: the program is a new process, and in the namespace"}
	}
	for _, fill := range []func(c *within.Cmd, kinds within.Namespaces) error{e.ids, e.directories, e.environment,
		e.cgroups, e.context} {
		if err := fill(c, kinds); err != nil {
			return err
		}
	}
	return nil
}

// namespaces fills the target, and returns the kinds that are entered, as far as they are named.
func (e *entering) namespaces(p *within.Proc) (kinds within.Namespaces, err error) {
	add := func(t within.Target) { p.Target = p.Target.And(t) }
	kinds = e.kinds
	if e.all {
		kinds |= differing(e.target)
	}
	for kind := range e.paths {
		kinds &^= kind
	}
	if e.userParent {
		owner, err := e.owner(kinds)
		if err != nil {
			return 0, err
		}
		add(within.FD(within.User, owner))
		kinds &^= within.User
		delete(e.paths, within.User)
	}
	if kinds != 0 {
		add(within.Of(e.target, kinds))
	}
	for kind, path := range e.paths {
		add(within.Path(kind, path))
		kinds |= kind
	}
	if e.userParent {
		kinds |= within.User
	}
	return kinds, nil
}

// differing are the kinds of a process's namespaces that are not this process's.
func differing(pid int) (kinds within.Namespaces) {
	for _, kind := range within.All.Each() {
		own, err := os.Readlink("/proc/self/ns/" + kind.String())
		if err != nil {
			continue // the kernel has none of the kind
		}
		if theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%v", pid, kind)); err != nil || theirs != own {
			kinds |= kind
		}
	}
	return kinds
}

// owner is the user namespace that owns what is entered: the parent of a user namespace.
func (e *entering) owner(kinds within.Namespaces) (*os.File, error) {
	path := e.paths[within.User]
	if path == "" && kinds.Has(within.User) {
		path = fmt.Sprintf("/proc/%d/ns/user", e.target)
	}
	for _, p := range e.paths {
		if path == "" {
			path = p
		}
	}
	if each := kinds.Each(); path == "" && len(each) > 0 {
		path = fmt.Sprintf("/proc/%d/ns/%v", e.target, each[0])
	}
	if path == "" {
		return nil, &usageError{"--user-parent needs a namespace to enter"}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	fd, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), kernel.NsGetUserns, 0)
	if errno != 0 {
		return nil, fmt.Errorf("failed to find the user namespace that owns %s: %w", path, errno)
	}
	syscall.CloseOnExec(int(fd))
	return os.NewFile(fd, "the user namespace that owns "+path), nil
}

// ids says who the program is. In a user namespace that is root, unless it is said, and outside it is the caller.
func (e *entering) ids(c *within.Cmd, kinds within.Namespaces) error {
	follow, err := e.follow()
	if err != nil {
		return err
	}
	if e.followUID {
		e.uid = &follow.Uid
	}
	if e.followGID {
		e.gid = &follow.Gid
	}
	inUser := kinds.Has(within.User)
	if e.keepCaps && inUser {
		c.Attr.KeepCaps = true
	}
	if e.like != 0 && e.uid == nil && e.gid == nil {
		return nil
	}
	if e.like != 0 && !e.preserve {
		return e.idsLike(c)
	}
	cred := &syscall.Credential{Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid()), NoSetGroups: true}
	switch {
	case inUser && e.preserve:
		if cred, err = e.preserved(); err != nil {
			return err
		}
	case inUser:
		cred = &syscall.Credential{}
	case e.uid == nil && e.gid == nil && cred.Uid == 0 && cred.Gid == 0:
		return nil
	}
	if e.uid != nil {
		cred.Uid = *e.uid
	}
	if e.gid != nil {
		cred.Gid, cred.Groups, cred.NoSetGroups = *e.gid, nil, false
	}
	if inUser && e.uid == nil && e.gid == nil && !e.preserve {
		return nil // within makes it root, without groups where they can be set
	}
	c.Attr.Credential = cred
	return nil
}

// idsLike says who the program is if only some of that is as with the process. The caller's groups are not for it.
func (e *entering) idsLike(c *within.Cmd) error {
	cred, err := within.CredentialOf(e.like)
	if err != nil {
		return err
	}
	if e.uid != nil {
		cred.Uid = *e.uid
	}
	if e.gid != nil {
		cred.Gid, cred.Groups = *e.gid, nil
	}
	c.Attr.Credential = cred
	return nil
}

// follow are the ids of the target, in its user namespace, or nil if nobody asks.
func (e *entering) follow() (*syscall.Credential, error) {
	if !e.followUID && !e.followGID {
		return nil, nil
	}
	return within.CredentialOf(e.target)
}

// preserved is who the caller is in the user namespace of the target.
func (e *entering) preserved() (*syscall.Credential, error) {
	if e.target == 0 {
		return nil, errors.New("--preserve-credentials needs a --target, whose maps say who the caller is in there")
	}
	uid, err := inside(e.target, "uid_map", os.Geteuid())
	if err != nil {
		return nil, err
	}
	gid, err := inside(e.target, "gid_map", os.Getegid())
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uid, Gid: gid, NoSetGroups: true}, nil
}

// inside is what an id of this process's is in the user namespace of another one.
func inside(pid int, idMap string, id int) (uint32, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, idMap))
	if err != nil {
		return 0, err
	}
	if there, found := kernel.IDInside(string(text), uint32(id)); found {
		return there, nil
	}
	return 0, fmt.Errorf("--preserve-credentials: id %d is nobody in the user namespace of process %d (%s)", id, pid,
		idMap)
}

func (e *entering) directories(c *within.Cmd, kinds within.Namespaces) error {
	open := func(path, link string) (*os.File, error) {
		if path == "" {
			path = fmt.Sprintf("/proc/%d/%s", e.target, link)
		}
		return os.Open(path)
	}
	var err error
	if e.root != nil {
		if c.Attr.Root, err = open(*e.root, "root"); err != nil {
			return err
		}
	}
	switch {
	case e.dir != nil && e.wdns != "":
		return &usageError{"--wd and --wdns exclude each other"}
	case e.dir != nil:
		c.Attr.Dir, err = open(*e.dir, "cwd")
	case e.wdns != "":
		c.Proc.Dir = e.wdns
	case e.like != 0:
	case !kinds.Has(within.Mount):
		c.Attr.Dir, err = os.Open(".") // it stays
	}
	return err
}

func (e *entering) environment(c *within.Cmd, _ within.Namespaces) error {
	if !e.env && e.like == 0 {
		return nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", e.target))
	if err != nil {
		return err
	}
	c.Proc.Env = []string{}
	for _, setting := range strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00") {
		if setting != "" {
			c.Proc.Env = append(c.Proc.Env, setting)
		}
	}
	hasTerm := slices.ContainsFunc(c.Proc.Env, func(setting string) bool { return strings.HasPrefix(setting, "TERM=") })
	if term := os.Getenv("TERM"); e.like != 0 && !hasTerm && term != "" && isTerminal(os.Stdin) {
		c.Proc.Env = append(c.Proc.Env, "TERM="+term) // it is about the user's terminal
	}
	return nil
}

func (e *entering) cgroups(c *within.Cmd, _ within.Namespaces) (err error) {
	if e.cgroup {
		c.Attr.Cgroups, err = within.CgroupsOf(e.target)
	}
	return err
}

func (e *entering) context(c *within.Cmd, _ within.Namespaces) error {
	if !e.label {
		return nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/attr/current", e.target))
	if err != nil {
		return fmt.Errorf("failed to read the SELinux label of process %d: %w", e.target, err)
	}
	c.Attr.SELinuxLabel = strings.TrimRight(string(text), "\x00\n")
	return nil
}
