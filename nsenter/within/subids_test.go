// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"nsenter-cpp.example/internal/testutil"
)

func TestSubIDs(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ids := func(inside, outside, count uint32) IDRange {
		return IDRange{Inside: inside, Outside: outside, Count: count}
	}
	root := ids(0, 0, 1)
	good := write("good", "root:100000:65536\n")
	for _, c := range []struct {
		user, text string
		want       []IDRange
		err        string
	}{
		{"root", "other:5:6\nroot:100000:65536\n", []IDRange{root, ids(1, 100000, 65536)}, ""},
		{"0", "root:100000:65536", []IDRange{root, ids(1, 100000, 65536)}, ""},
		{"root", "0:1000:10\n # a comment\n\nother:x\nroot:2000:5\nroot:3000:0\n",
			[]IDRange{root, ids(1, 1000, 10), ids(11, 2000, 5)}, ""},
		{"root", "root:7:8\n0:7:8\n", []IDRange{root, ids(1, 7, 8)}, ""},
		{"root", "root:4294967294:1\n", []IDRange{root, ids(1, 4294967294, 1)}, ""},
		{"root", "roots:7:8\n", nil, `within: no subordinate ids: FILE has none of user "root" (uid 0)`},
		{"root", "", nil, `within: no subordinate ids: FILE has none of user "root" (uid 0)`},
		{"root", "a:1:1\nroot:7\n", nil, `within: line 2 of FILE, "root:7": 2 fields, want user:first:count`},
		{"root", "root:x:1\n", nil, `within: line 1 of FILE, "root:x:1": "x" is no id`},
		{"root", "root:1:-1\n", nil, `within: line 1 of FILE, "root:1:-1": "-1" is no count`},
		{"root", "root:4294967295:1\n", nil,
			`within: line 1 of FILE, "root:4294967295:1": the range leaves the ids there are`},
		{"root", "root:1:4294967290\nroot:2:4294967290\n", nil,
			`within: line 2 of FILE, "root:2:4294967290": there are more ids than fit`},
	} {
		path := write("tried", c.text)
		for what, files := range map[string][2]string{"uids": {path, good}, "gids": {good, path}} {
			uids, gids, err := subIDs(c.user, files[0], files[1])
			got := uids
			if what == "gids" {
				got = gids
			}
			text := ""
			if err != nil {
				text = strings.ReplaceAll(err.Error(), path, "FILE")
			}
			if !slices.Equal(got, c.want) || text != c.err {
				t.Errorf("%s of %q: got %v, %q, want %v, %q", what, c.text, got, text, c.want, c.err)
			}
			if strings.Contains(c.err, "no subordinate") && !errors.Is(err, ErrNoSubIDs) {
				t.Errorf("%s of %q: got %v", what, c.text, err)
			}
		}
	}
	var unknown user.UnknownUserError
	if _, _, err := subIDs("no-such-user", good, good); !errors.As(err, &unknown) {
		t.Errorf("an unknown user: %v", err)
	}
	if _, _, err := subIDs("root", "/no/such/file", good); !errors.Is(err, fs.ErrNotExist) ||
		err.Error() != "within: failed to read subordinate ids: open /no/such/file: no such file or directory" {
		t.Errorf("no file: %v", err)
	}
}

// groupsInside is what a function can do to its groups.
type groupsInside struct {
	Before, After []int
	Setgroups     string // /proc/self/setgroups
	Error         string
}

var setGroups = Register("test.set-groups", func(context.Context, struct{}) (g groupsInside, err error) {
	g.Before, _ = os.Getgroups()
	if err := syscall.Setgroups([]int{0, 7}); err != nil {
		g.Error = err.Error()
	}
	g.After, _ = os.Getgroups()
	text, err := os.ReadFile("/proc/self/setgroups")
	g.Setgroups = strings.TrimSpace(string(text))
	return g, err
})

// The administrator gives user 1000 subordinate ids, in a mount namespace of his own, and starts the user.
func init() {
	roles["administrator"] = func() error {
		dir := os.Args[1]
		if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			return err
		}
		for _, name := range []string{"passwd", "group", "subuid", "subgid"} {
			if err := syscall.Mount(filepath.Join(dir, name), "/etc/"+name, "", syscall.MS_BIND, ""); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		user := inRole("user-with-groups", os.Args[2])
		user.Dir = "/"
		user.SysProcAttr = &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: 1000, Gid: 1000, Groups: []uint32{1000, 4242}},
		}
		output, err := user.CombinedOutput()
		fmt.Printf("%s", output)
		return err
	}
	roles["user-with-groups"] = func() error {
		p := &Proc{New: User}
		var err error
		if os.Args[1] == "subordinate" {
			if p.UIDMap, p.GIDMap, err = SubIDs(""); err != nil {
				return err
			}
		}
		g, err := setGroups.Call(context.Background(), p, struct{}{})
		fmt.Printf("%+v %v %v", g, p.UIDMap, p.GIDMap)
		if err != nil {
			return err
		}
		output, err := Command(p, "sh", "-c", "cat /proc/self/setgroups; grep Groups: /proc/self/status").
			CombinedOutput(context.Background())
		fmt.Printf(" %q", output)
		return err
	}
}

// TestGroupsOfARootlessUser: with subordinate gids they can be set, as the administrator has granted; with the own gid
// alone the kernel demands that they cannot be.
func TestGroupsOfARootlessUser(t *testing.T) {
	requireRoot(t)
	for _, tool := range []string{"newuidmap", "newgidmap"} {
		_, err := exec.LookPath(tool)
		testutil.Require(t, err == nil, tool)
	}
	nothingLeft(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"passwd": "root:x:0:0::/:/bin/sh\nplain:x:1000:1000::/:/bin/sh\n",
		"group":  "root:x:0:\nplain:x:1000:\n",
		"subuid": "plain:200000:1000\n",
		"subgid": "1000:300000:1000\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for ids, want := range map[string]string{
		"subordinate": `{Before:[] After:[0 7] Setgroups:allow Error:} ` +
			`[{0 1000 1} {1 200000 1000}] [{0 1000 1} {1 300000 1000}] "allow\nGroups:\t \n"`,
		"one": `{Before:[0 65534] After:[0 65534] Setgroups:deny Error:operation not permitted} [] [] ` +
			`"deny\nGroups:\t0 65534 \n"`,
	} {
		administrator := inRole("administrator", dir, ids)
		administrator.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		output, err := administrator.CombinedOutput()
		if err != nil || string(output) != want {
			t.Errorf("%s: got %s (%v), want %s", ids, output, err, want)
		}
	}
}
