// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"nsenter-cpp.example/nsenter/bootstrap"
	"nsenter-cpp.example/nsenter/within"
)

const noFile = "a namespace that lasts is made by a mount of /proc/PID/ns outside, while the program runs"

// newOptions are those of unshare(1).
var newOptions = []option{
	{'m', "mount", longOnly, "FILE", "a mount namespace", ""},
	{'u', "uts", longOnly, "FILE", "a UTS namespace (hostname)", ""},
	{'i', "ipc", longOnly, "FILE", "an IPC namespace", ""},
	{'n', "net", longOnly, "FILE", "a network namespace", ""},
	{'p', "pid", longOnly, "FILE", "a pid namespace, of which the program is pid 1", ""},
	{'U', "user", longOnly, "FILE", "a user namespace, in which the caller is root", ""},
	{'C', "cgroup", longOnly, "FILE", "a cgroup namespace", ""},
	{'T', "time", longOnly, "FILE", "a time namespace", ""},
	{'f', "fork", none, "", "nothing: the program is a new process", ""},
	{'r', "map-root-user", none, "", "as --user, which does that", ""},
	{0, "map-auto", none, "", "map the caller's subordinate ids too (subuid(5))", ""},
	{0, "map-users", required, "INNER:OUTER:COUNT", "map uids (or OUTER,INNER,COUNT)", ""},
	{0, "map-groups", required, "INNER:OUTER:COUNT", "map gids (or OUTER,INNER,COUNT)", ""},
	{'c', "map-current-user", none, "", "", "in a new user namespace the process that becomes the program is uid 0"},
	{0, "map-user", required, "UID", "", "in a new user namespace the process that becomes the program is uid 0"},
	{0, "map-group", required, "GID", "", "in a new user namespace the process that becomes the program is gid 0"},
	{0, "setgroups", required, "allow|deny", "", "setgroups(2) is denied where the kernel demands it, and only there"},
	{0, "kill-child", longOnly, "SIGKILL", "nothing: the program is killed when this command ends", ""},
	{0, "mount-proc", longOnly, "DIR", "mount a new /proc", ""},
	{0, "mount-binfmt", longOnly, "DIR", "", "it is no part of this command"},
	{0, "propagation", required, "KIND", "of mounts: private (the default), shared, slave or unchanged", ""},
	{0, "keep-caps", none, "", "keep the capabilities of a new user namespace", ""},
	{'R', "root", required, "DIR", "the root directory", ""},
	{'w', "wd", required, "DIR", "the working directory, as a path in there", ""},
	{'S', "setuid", required, "UID", "the uid in there", ""},
	{'G', "setgid", required, "GID", "the gid in there", ""},
	{0, "monotonic", required, "SECONDS", "what the monotonic clock is ahead by", ""},
	{0, "boottime", required, "SECONDS", "what the boot time clock is ahead by", ""},
	{'l', "load-interp", required, "FILE", "", "it is no part of this command"},
	{'h', "help", none, "", "show this", ""},
	{'V', "version", none, "", "", "the version is that of the module: go version -m"},
}

// creating is what the command line asks for.
type creating struct {
	auto     bool
	uid, gid *uint32
	keepCaps bool
	dir      string
	mounts   mounts
}

// mounts are what the process that becomes the program mounts before.
type mounts struct {
	Propagation uint   // MS_PRIVATE, MS_SHARED, MS_SLAVE; 0: as it is
	Root        string // becomes the root directory
	Proc        string // a new procfs is mounted there; "": nowhere
}

// newCommand is the program of a command line. It is nil if that asks for help.
func newCommand(arguments []string) (*within.Cmd, error) {
	list, rest, err := parse(newOptions, arguments)
	if err != nil {
		return nil, err
	}
	p := &within.Proc{Env: os.Environ()}
	n := &creating{mounts: mounts{Propagation: syscall.MS_PRIVATE}}
	for _, g := range list {
		if g.long == "help" {
			fmt.Print("Usage:\n  within new [options] [program [argument...]]\n\nRun a program in new namespaces.\n\n" +
				help(newOptions))
			return nil, nil
		}
		if err := n.take(p, g); err != nil {
			return nil, err
		}
	}
	c := program(p, rest)
	c.Attr = &within.Attr{KeepCaps: n.keepCaps && p.New.Has(within.User)}
	return c, n.fill(c)
}

func (n *creating) take(p *within.Proc, g given) (err error) {
	if kind, isKind := kindsByName[g.long]; isKind {
		if g.hasValue {
			return &usageError{fmt.Sprintf("--%s=%s is left out: %s", g.long, g.argument, noFile)}
		}
		p.New |= kind
		return nil
	}
	switch g.long {
	case "map-root-user":
		p.New |= within.User
	case "map-auto":
		p.New |= within.User
		n.auto = true
	case "map-users":
		p.New |= within.User
		p.UIDMap, err = appendRange(p.UIDMap, g)
	case "map-groups":
		p.New |= within.User
		p.GIDMap, err = appendRange(p.GIDMap, g)
	case "kill-child":
		if s := strings.TrimPrefix(g.argument, "SIG"); g.hasValue && s != "KILL" && s != "9" {
			err = &usageError{"--kill-child with another signal than SIGKILL is left out: only that one ends each program"}
		}
	case "mount-proc":
		p.New |= within.Mount
		n.mounts.Proc = "/proc"
		if g.hasValue {
			n.mounts.Proc = g.argument
		}
	case "propagation":
		kinds := map[string]uint{"private": syscall.MS_PRIVATE, "shared": syscall.MS_SHARED, "slave": syscall.MS_SLAVE,
			"unchanged": 0}
		propagation, found := kinds[g.argument]
		if !found {
			return &usageError{fmt.Sprintf("--propagation %q is not private, shared, slave or unchanged", g.argument)}
		}
		n.mounts.Propagation = propagation
	case "keep-caps":
		n.keepCaps = true
	case "root":
		n.mounts.Root = g.argument
	case "wd":
		n.dir = g.argument
	case "setuid":
		n.uid, _, err = idOf(g)
	case "setgid":
		n.gid, _, err = idOf(g)
	case "monotonic", "boottime":
		err = n.offset(p, g)
	}
	return err
}

func (n *creating) offset(p *within.Proc, g given) error {
	seconds, err := strconv.ParseInt(g.argument, 10, 64)
	if err != nil {
		return &usageError{fmt.Sprintf("--%s %q is no number of seconds", g.long, g.argument)}
	}
	clock := bootstrap.Monotonic
	if g.long == "boottime" {
		clock = bootstrap.Boottime
	}
	p.TimeOffsets = append(p.TimeOffsets, within.TimeOffset{Clock: clock, Seconds: seconds})
	return nil
}

// appendRange appends a line of a map, in either order that unshare(1) has had.
func appendRange(list []within.IDRange, g given) ([]within.IDRange, error) {
	separator, inner := ":", 0
	if strings.Contains(g.argument, ",") {
		separator, inner = ",", 1
	}
	var numbers [3]uint32
	fields := strings.Split(g.argument, separator)
	for i, field := range fields {
		number, err := strconv.ParseUint(field, 10, 32)
		if err != nil || len(fields) != len(numbers) {
			return nil, &usageError{fmt.Sprintf("--%s %q is not INNER:OUTER:COUNT", g.long, g.argument)}
		}
		numbers[i] = uint32(number)
	}
	return append(list, within.IDRange{Inside: numbers[inner], Outside: numbers[1-inner], Count: numbers[2]}), nil
}

func (n *creating) fill(c *within.Cmd) error {
	p := c.Proc
	if n.auto {
		if p.UIDMap != nil || p.GIDMap != nil {
			return &usageError{"--map-auto excludes --map-users and --map-groups"}
		}
		var err error
		if p.UIDMap, p.GIDMap, err = within.SubIDs(""); err != nil {
			return err
		}
	}
	if n.uid != nil || n.gid != nil {
		cred := &syscall.Credential{NoSetGroups: n.gid == nil}
		if !p.New.Has(within.User) {
			cred.Uid, cred.Gid = uint32(os.Geteuid()), uint32(os.Getegid())
		}
		if n.uid != nil {
			cred.Uid = *n.uid
		}
		if n.gid != nil {
			cred.Gid = *n.gid
		}
		c.Attr.Credential = cred
	}
	if !p.New.Has(within.Mount) {
		n.mounts.Propagation = 0
	}
	if n.mounts != (mounts{}) {
		c.Before = mountThere.Bind(n.mounts)
	}
	return n.directory(c)
}

// directory keeps the working directory, unless there is another root.
func (n *creating) directory(c *within.Cmd) (err error) {
	switch {
	case n.dir != "":
		c.Proc.Dir = n.dir
	case n.mounts.Root != "":
	case c.Proc.New.Has(within.Mount): // what is open is in the mount namespace outside
		c.Proc.Dir, err = os.Getwd()
	default:
		c.Attr.Dir, err = os.Open(".")
	}
	return err
}

var mountThere = within.Register("nsenter-cpp.example/cmd/within.mount",
	func(_ context.Context, m mounts) (struct{}, error) { return struct{}{}, m.mount() })

// mount is in the order of unshare(1).
func (m mounts) mount() error {
	if m.Propagation != 0 {
		if err := syscall.Mount("none", "/", "", uintptr(m.Propagation|syscall.MS_REC), ""); err != nil {
			return fmt.Errorf("failed to change the propagation of mounts: %w", err)
		}
	}
	if m.Root != "" {
		if err := errors.Join(syscall.Chroot(m.Root), syscall.Chdir("/")); err != nil {
			return fmt.Errorf("failed to change the root directory to %s: %w", m.Root, err)
		}
	}
	if m.Proc == "" {
		return nil
	}
	const flags = syscall.MS_NOSUID | syscall.MS_NOEXEC | syscall.MS_NODEV
	// Private first, so that nobody outside sees it, whatever --propagation says.
	syscall.Mount("none", m.Proc, "", syscall.MS_PRIVATE|syscall.MS_REC, "")
	if err := syscall.Mount("proc", m.Proc, "proc", flags, ""); err != nil {
		return fmt.Errorf("failed to mount a new procfs on %s: %w", m.Proc, err)
	}
	return nil
}
