// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/kernel"
)

// panicOf is what a function panics with.
func panicOf(f func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	f()
	return ""
}

func none(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil }

func TestRegisterAfterInitPanics(t *testing.T) {
	got := panicOf(func() { Register("test.late", none) })
	want := regexp.MustCompile(`^within: "test\.late" is registered at .*refuse_test\.go:\d+ after Init ` +
		`at .*main_test\.go:\d+$`)
	if !want.MatchString(got) {
		t.Errorf("got %s", got)
	}
}

func TestDuplicateNamePanicsWithBothSites(t *testing.T) {
	r := registry{byName: make(map[string]registered)}
	r.add("test.twice", registered{site: "a.go:1"})
	got := panicOf(func() { r.add("test.twice", registered{site: "b.go:2"}) })
	if want := `within: "test.twice" is registered at a.go:1 and at b.go:2`; got != want {
		t.Errorf("got %s", got)
	}
}

// asText can be sent as text, which gob does not do.
type asText struct{ hidden int }

func (asText) MarshalText() ([]byte, error) { return nil, nil }

func TestTypesAreCheckedAtRegistration(t *testing.T) {
	type hidden struct {
		Seen   int
		hidden int
	}
	_ = hidden{hidden: 1}
	_ = asText{hidden: 1}
	for want, check := range map[string]func() error{
		"chan int is a chan":                                          checkType[chan int],
		"func() is a func":                                            checkType[func()],
		"interface {} is a interface":                                 checkType[any],
		"error is a interface":                                        checkType[error],
		"field hidden of within.hidden is unexported":                 checkType[hidden],
		"field hidden of within.asText is unexported":                 checkType[asText],
		"struct {} has no fields":                                     checkType[[]struct{}],
		"field F of struct { F map[string]func() }: func() is a func": checkType[struct{ F map[string]func() }],
	} {
		if err := check(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := checkType[everything](); err != nil {
		t.Error(err)
	}
}

func init() {
	roles["forgot-init"] = func() error {
		for name, err := range map[string]error{
			"Call":    func() error { _, err := look.Call(context.Background(), &Proc{New: User}, struct{}{}); return err }(),
			"Start":   func() error { _, err := (&Proc{}).Start(context.Background()); return err }(),
			"Command": Command(&Proc{}, "true").Run(context.Background()),
		} {
			if err != ErrNoInit {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if _, err := look.Call(context.Background(), Here, struct{}{}); err != nil { // which needs none
			return err
		}
		return nil
	}
}

func TestForgettingInitIsAnError(t *testing.T) {
	runRole(t, 0, "forgot-init")
}

// TestAStaleVariableMakesNoChild: a program that finds the variable in its environment, but has not
// been launched, is no child.
func TestAStaleVariableMakesNoChild(t *testing.T) {
	t.Setenv(envInternal, "3,0,0,0")
	runRole(t, 0, "stale")
}

func init() {
	roles["stale"] = func() error {
		if child != nil || os.Getenv(envInternal) != "" {
			return errors.New("taken for a child")
		}
		return nil
	}
}

func TestRefusedBeforeAnythingStarts(t *testing.T) {
	nothingLeft(t)
	ended := endedProcess(t)
	self := os.Getpid()
	regular, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer regular.Close()
	beyond := 5000
	for _, c := range []struct {
		p    Proc
		want string
	}{
		{Proc{Target: Of(ended, Net)}, fmt.Sprintf("within: there is no process %d: no such process", ended)},
		{Proc{Target: Of(-1, Net)}, "within: there is no process -1: no such process"},
		{Proc{Target: Of(0, Net)}, "within: there is no process 0: no such process"},
		{Proc{Target: OfPidfd(nil, Net)}, "within: the pidfd is nil"},
		{Proc{Target: FD(Net, nil)}, "within: the file that is to be a net namespace is nil"},
		{Proc{Target: Of(self, 0)}, "within: no kinds of namespaces: 0x0"},
		{Proc{Target: Of(self, 1)}, "within: no kinds of namespaces: 0x1"},
		{Proc{Target: Of(self, Net).And(Of(self, UTS|Net))}, "within: two net namespaces to join"},
		{Proc{Target: Path(Net|UTS, "/x")}, "within: a file is one namespace, not net,uts"},
		{Proc{Target: Path(Net, "/no/such,file")},
			"within: failed to open net namespace: open /no/such,file: no such file or directory"},
		{Proc{Target: Path(Net, "/dev/null")}, "within: /dev/null is no namespace"},
		{Proc{Target: Path(Net, "/proc/self/ns/uts")}, "within: /proc/self/ns/uts is a uts namespace, not a net namespace"},
		{Proc{Target: FD(Net, regular)}, "within: /proc/self/exe is no namespace"},
		{Proc{Target: OfPidfd(regular, Net)}, "within: /proc/self/exe is no pidfd"},
		{Proc{New: 1}, "within: CLONE_FLAGS has bits that are no namespace: 1"},
		{Proc{UIDMap: []IDRange{{Count: 1}}}, "within: maps without a new user namespace"},
		{
			Proc{New: User, UIDMap: []IDRange{{Count: 5}, {Inside: 4, Outside: 9, Count: 1}}, GIDMap: []IDRange{{Count: 1}}},
			"within: UIDMAP lines 1 and 2 map the same id inside",
		},
		{Proc{New: User, UIDMap: []IDRange{{Count: 1}}}, "within: a new user namespace needs a GIDMAP with gid 0 inside"},
		{Proc{OOMScoreAdj: &beyond}, `within: OOM_SCORE_ADJ is no number from -1000 to 1000: "5000"`},
		{Proc{New: User, Target: Path(User, "/proc/self/ns/user")},
			"within: a user namespace cannot be joined and created at once"},
		{Proc{ExtraFiles: make([]*os.File, 181)}, "within: 181 files, namespaces among them, are more than 180"},
	} {
		started := false
		c.p.Started = func(int) error { started = true; return nil }
		_, err := look.Call(deadline(t, short), &c.p, struct{}{})
		if err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
		if started {
			t.Errorf("a process was started, and then: %v", err)
		}
	}
	if _, err := look.Call(deadline(t, short), &Proc{Target: Of(ended, Net)}, struct{}{}); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("%v is not ESRCH", err)
	}
}

// TestProcThatIsNoProcfsIsRefused: whoever can mount something on /proc could say which program the child is,
// and which namespaces those of a process are.
func TestProcThatIsNoProcfsIsRefused(t *testing.T) {
	requireRoot(t)
	cmd := inRole("fake-proc")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	timer := time.AfterFunc(short, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

func init() {
	roles["fake-proc"] = func() error {
		pidfd, _, errno := syscall.Syscall(kernel.Call(434), uintptr(os.Getpid()), 0, 0)
		if errno != 0 {
			return errno
		}
		file := os.NewFile(pidfd, "pidfd")
		if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			return err
		}
		if err := syscall.Mount("tmpfs", "/proc", "tmpfs", 0, ""); err != nil {
			return err
		}
		expect := func(want string) error {
			for name, p := range map[string]*Proc{
				"nothing": {}, "pid": {Target: Of(1, Net)}, "pidfd": {Target: OfPidfd(file, Net)}, "new": {New: PID},
			} {
				started := false
				p.Started = func(int) error { started = true; return nil }
				_, err := look.Call(context.Background(), p, struct{}{})
				if err == nil || err.Error() != want || started {
					return fmt.Errorf("%s: %w, want %s", name, err, want)
				}
			}
			return nil
		}
		if err := expect("within: /proc is needed: statfs: no such file or directory"); err != nil {
			return err
		}
		// As it is needed, but for what it is.
		for _, name := range []string{"self/ns", "1/ns", "self/fdinfo"} {
			if err := os.MkdirAll("/proc/"+name, 0o755); err != nil {
				return err
			}
		}
		if err := os.Symlink("/bin/true", "/proc/self/exe"); err != nil {
			return err
		}
		if err := os.WriteFile(fmt.Sprintf("/proc/self/fdinfo/%d", pidfd), []byte("Pid:\t1\n"), 0o644); err != nil {
			return err
		}
		return expect("within: /proc/self does not lie on procfs")
	}
}

var unencodable = Register("test.unencodable", func(context.Context, []*int) (struct{}, error) {
	return struct{}{}, nil
})

func TestArgumentThatCannotBeEncoded(t *testing.T) {
	nothingLeft(t)
	_, err := unencodable.Call(deadline(t, short), &Proc{}, []*int{nil})
	var e *EncodeError
	if !errors.As(err, &e) || e.What != "argument" || e.Func != "test.unencodable" ||
		!strings.Contains(err.Error(), "nil") {
		t.Errorf("got %v", err)
	}
}

func TestFunctionThatOnlyTheParentHas(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	f := Func[struct{}, struct{}]{name: "test.only-here"}
	_, err := f.Call(deadline(t, short), &Proc{New: User}, struct{}{})
	if !errors.Is(err, ErrNotRegistered) || !strings.Contains(err.Error(), "test.only-here") {
		t.Errorf("got %v", err)
	}
}
