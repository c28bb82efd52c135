// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vectors

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"nsenter-cpp.example/tests/internal/harness"
)

// Run is one launch of a vector: its pieces and the order of the parent.
type Run struct {
	Name string
	Case harness.Case
}

// Runs are all launches of a vector.
func (v *Vector) Runs(program string) ([]Run, error) {
	c := harness.Case{
		Program: program,
		Env:     v.environment(),
		Fixture: v.Get("fixture", "plain"),
		Setup:   v.All("setup"),
		Message: v.Message,
		Shut:    v.Get("end", "open") == "shut",
	}
	if _, err := fmt.Sscanf(v.Get("user", "0 0"), "%d %d", &c.UID, &c.GID); err != nil {
		return nil, fmt.Errorf("user: %w", err)
	}
	pieces := v.All("send")
	if len(pieces) == 0 {
		pieces = []string{"whole"}
	}
	orders := []harness.Order{harness.ReadFirst, harness.WaitFirst}
	if v.Expected() != "ok" {
		orders = orders[:1] // nothing is read
	} else if v.Protocol() == "classic" {
		orders = orders[1:] // the parent of 2015 has this one
	}
	var runs []Run
	for _, piece := range pieces {
		for _, order := range orders {
			run := Run{Name: piece + "," + string(order), Case: c}
			run.Case.Order = order
			if piece != "whole" {
				size, err := strconv.Atoi(piece)
				if err != nil {
					return nil, fmt.Errorf("send: %w", err)
				}
				run.Case.Piece = size
			}
			runs = append(runs, run)
		}
	}
	return runs, nil
}

func (v *Vector) environment() []string {
	names := []string{"_LIBCONTAINER_INITPIPE"}
	values := map[string]string{"_LIBCONTAINER_INITPIPE": "3"}
	if v.Protocol() == "netlink" {
		names = append(names, "_LIBCONTAINER_LOGPIPE")
		values["_LIBCONTAINER_LOGPIPE"] = "4"
	}
	for _, setting := range v.All("env") {
		name, value := setting, ""
		if i := strings.IndexByte(setting, '='); i >= 0 {
			name, value = setting[:i], setting[i+1:]
		}
		if _, there := values[name]; !there {
			names = append(names, name)
		}
		if name == setting {
			delete(values, name)
		} else {
			values[name] = value
		}
	}
	var env []string
	for _, name := range names {
		if value, there := values[name]; there {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// Fields is an outcome, taken apart, so that each difference has a name.
type Fields map[string]string

const nothing = "nothing"

func list(items []string) string {
	if len(items) == 0 {
		return nothing
	}
	return strings.Join(items, " | ")
}

func text(s string) string {
	if s == "" {
		return nothing
	}
	return escape(s)
}

// Wanted is what the table demands.
func (v *Vector) Wanted() Fields {
	kind := v.Expected()
	w := Fields{
		"hang": nothing, "left": nothing, "bad-log": nothing, "early": nothing,
		"fatal": nothing, "stderr": nothing, "status": "0", "initpipe": nothing,
		"probe": nothing, "untouched": "no", "init": "none",
	}
	for _, line := range v.All("log") {
		w["log "+line] = "there"
	}
	for _, level := range v.All("no-log") {
		w["no-log "+level] = "not there"
	}
	if s := v.Get("spied", ""); s != "" {
		w["spied"] = s
	}
	switch kind {
	case "error", "silent":
		w["status"] = v.Get("status", "1")
		if v.Get("stderr", "") == "" && kind == "error" || v.Get("fatal", "") != "" {
			w["fatal"] = v.ErrorText()
		}
		v.wantStderr(w)
		return w
	case "untouched":
		w["untouched"] = "yes"
		w["probe"] = v.Get("probe", escape("nsexec returned\n"+string(v.Message)))
		return w
	}
	v.wantStderr(w)
	w["init"] = "a child of the parent, leader of its session"
	w["initpipe"] = `{"stage1_pid":A,"stage2_pid":B}\n`
	comm := "runc:[2:INIT]"
	if v.Protocol() == "classic" {
		w["initpipe"] = `{ "pid" : B }\n`
		comm = "probe"
	} else {
		w["stage1"] = "none, or child that ends"
	}
	w["probe"] = v.Get("probe", escape("nsexec returned\n"+harness.Document))
	w["init-status"] = v.Get("init-status", "0")
	if v.noState() {
		return w
	}
	w["terminal"] = v.Get("terminal", "no")
	for _, name := range harness.NamespaceTypes {
		w["ns."+name] = "own"
	}
	for _, ns := range v.All("ns") {
		fields := strings.Fields(ns)
		w["ns."+fields[0]] = strings.Join(fields[1:], " ")
	}
	w["uid"] = v.Get("uid", "0")
	w["gid"] = v.Get("gid", "0")
	w["groups"] = v.Get("groups", "10 20")
	w["comm"] = v.Get("comm", comm)
	w["oom"] = v.Get("oom", "7")
	if w["uid"] != "0" {
		w["dumpable"] = v.Get("dumpable", "not said")
	}
	if w["ns.user"] != "own" {
		w["uid-map"] = list(v.All("uid-map"))
		w["gid-map"] = list(v.All("gid-map"))
		w["setgroups"] = v.Get("setgroups", "allow")
	}
	w["time"] = v.Get("time", "0 0")
	w["cwd"] = "/mnt"
	if w["ns.mnt"] == "joined" {
		w["cwd"] = "/"
	}
	w["cwd"] = v.Get("cwd", w["cwd"])
	w["fds"] = v.Get("fds", "null pipe pipe initpipe logpipe")
	return w
}

// wantStderr leaves the field out where other programs than nsexec write to standard error.
func (v *Vector) wantStderr(w Fields) {
	switch s := v.Get("stderr", ""); s {
	case "":
	case "any":
		delete(w, "stderr")
	default:
		w["stderr"] = s + `\n`
	}
}

// noState: over a pipe the Go side finds no document, so the init process is gone at once.
func (v *Vector) noState() bool {
	for _, word := range v.All("setup") {
		if strings.HasPrefix(word, "initpipe-pipe") {
			return true
		}
	}
	return false
}

// Got is what a launch came to, in the same fields.
func (v *Vector) Got(o *harness.Outcome) Fields {
	g := Fields{
		"hang": text(o.Hang), "left": list(o.Left), "bad-log": list(o.BadLog), "early": nothing,
		"fatal": escape(list(o.Fatal)), "stderr": text(o.Stderr), "status": o.Status,
		"initpipe": text(o.Initpipe), "probe": text(o.Stdout), "untouched": "no", "init": "none",
		"spied": text(strings.TrimSuffix(o.Spied, "\n")),
	}
	if o.EarlyInit {
		g["early"] = "the init process returned before the reply"
	}
	if o.Untouched {
		g["untouched"] = "yes"
	}
	lines := make(map[string]bool)
	levels := make(map[string]bool)
	for _, line := range o.Log {
		lines[line] = true
		levels[strings.Fields(line)[0]] = true
	}
	for _, line := range v.All("log") {
		g["log "+line] = "missing"
		if lines[line] {
			g["log "+line] = "there"
		}
	}
	for _, level := range v.All("no-log") {
		g["no-log "+level] = "not there"
		if levels[level] || level == "fatal" && len(o.Fatal) > 0 {
			g["no-log "+level] = "there"
		}
	}
	g["init-status"] = o.InitStatus
	g["stage1"] = o.Stage1
	if o.Stage1 == "none" || o.Stage1 == "child that ends" {
		g["stage1"] = "none, or child that ends"
	}
	s := o.Init
	if s == nil {
		return g
	}
	g["init"] = "a child of the parent, "
	if s.PPid != 1 {
		g["init"] = "no child of the parent, "
	}
	if s.Session {
		g["init"] += "leader of its session"
	} else {
		g["init"] += "no leader of its session"
	}
	for name, where := range s.NS {
		g["ns."+name] = where
	}
	g["uid"], g["gid"], g["groups"], g["comm"], g["oom"] = s.UID, s.GID, s.Groups, s.Comm, s.Oom
	g["dumpable"] = s.Dumpable
	g["uid-map"], g["gid-map"], g["setgroups"] = list(s.UIDMap), list(s.GIDMap), s.Setgroups
	g["terminal"] = "no"
	if s.Terminal {
		g["terminal"] = "yes"
	}
	g["time"], g["cwd"], g["fds"], g["caps"] = s.Time, s.Cwd, s.FDs, s.Caps
	return g
}

// Difference is a field whose outcome is not the one in the table.
type Difference struct{ Field, Want, Got string }

func (d Difference) String() string {
	return fmt.Sprintf("%s:\n\twant %s\n\tgot  %s", d.Field, d.Want, d.Got)
}

// Compare returns the differences, by field.
func (v *Vector) Compare(o *harness.Outcome) []Difference {
	want, got := v.Wanted(), v.Got(o)
	var differences []Difference
	for field, value := range want {
		if theirs, there := got[field]; !there {
			differences = append(differences, Difference{field, value, nothing})
		} else if theirs != value {
			differences = append(differences, Difference{field, value, theirs})
		}
	}
	sort.Slice(differences, func(i, j int) bool { return differences[i].Field < differences[j].Field })
	return differences
}
