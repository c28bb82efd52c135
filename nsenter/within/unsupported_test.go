// SPDX-License-Identifier: Apache-2.0

//go:build go1.22 && !(linux && cgo && gc)

package within

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

var (
	errShout = RegisterError(errors.New("nothing to shout"))
	shout    = Register("nsenter-cpp.example/nsenter/within.shout",
		func(_ context.Context, text string) (string, error) {
			if text == "" {
				return "", errShout
			}
			return strings.ToUpper(text), nil
		})
	size = Register("nsenter-cpp.example/nsenter/within.size", func(_ context.Context, f File) (int64, error) {
		return f.Seek(0, 2)
	})
)

func TestMain(m *testing.M) {
	Init()
	os.Exit(m.Run())
}

func TestEverythingIsUnsupported(t *testing.T) {
	ctx := context.Background()
	call := func(c Caller) func() error {
		return func() error { _, err := shout.Call(ctx, c, "a"); return err }
	}
	p := &Proc{Target: Of(1, All).And(Path(Net, "/")).And(FD(UTS, os.Stdin)).And(OfPidfd(os.Stdin, IPC)), New: User}
	cmd := Command(p, "true")
	for name, do := range map[string]func() error{
		"call of a Proc":    call(p),
		"call of a Session": call(new(Session)),
		"call of a Place":   call(new(Place)),
		"Proc.Start":        func() error { _, err := p.Start(ctx); return err },
		"Session.Err":       new(Session).Err,
		"Session.Close":     new(Session).Close,
		"Pool.At":           func() error { _, err := new(Pool).At(p.Target); return err },
		"Cmd.Start":         func() error { return cmd.Start(ctx) },
		"Cmd.Wait":          cmd.Wait,
		"Cmd.Run":           func() error { return cmd.Run(ctx) },
		"Cmd.Output":        func() error { _, err := cmd.Output(ctx); return err },
		"CombinedOutput":    func() error { _, err := cmd.CombinedOutput(ctx); return err },
		"Cmd.Confine":       func() error { return cmd.Confine(ctx, 1) },
		"CgroupsOf":         func() error { _, err := CgroupsOf(1); return err },
		"CredentialOf":      func() error { _, err := CredentialOf(1); return err },
		"SubIDs":            func() error { _, _, err := SubIDs(""); return err },
		"OpenTerminal":      func() error { _, err := OpenTerminal(); return err },
		"Terminal.Close":    new(Terminal).Close,
		"Terminal.Resize":   func() error { return new(Terminal).Resize(1, 1) },
		"Terminal.Attach":   func() error { _, err := new(Terminal).Attach(os.Stdin); return err },
		"File to Here":      func() error { _, err := size.Call(ctx, Here, File{os.Stdin, false}); return err },
	} {
		if err := do(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	<-new(Session).Done()
}

func TestUnsupportedSaysWhy(t *testing.T) {
	for _, c := range []struct{ system, compiler, want string }{
		{"darwin", "gc", "within: there are no namespaces on darwin: unsupported operation"},
		{"linux", "gc", "within: the program was built without cgo: unsupported operation"},
		{"linux", "gccgo", "within: the program was built by gccgo, not gc: unsupported operation"},
	} {
		if err := unsupported(c.system, c.compiler); err.Error() != c.want {
			t.Errorf("%s, %s: %q, want %q", c.system, c.compiler, err, c.want)
		}
	}
}

// Functions can be tested where they cannot be called in namespaces.
func TestHereIsSupported(t *testing.T) {
	ctx := context.Background()
	if got, err := shout.Call(ctx, Here, "a"); got != "A" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := shout.Call(ctx, Here, ""); !errors.Is(err, errShout) {
		t.Errorf("the error is %v", err)
	}
}

func TestRegisterChecksTypes(t *testing.T) {
	for want, register := range map[string]func(){
		"cannot be sent": func() { Register("a", func(context.Context, chan int) (int, error) { return 0, nil }) },
		"after Init":     func() { Register("b", func(context.Context, int) (int, error) { return 0, nil }) },
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, want) {
					t.Errorf("it panics with %q, not with %q", text, want)
				}
			}()
			register()
		}()
	}
}
