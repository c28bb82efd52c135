// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"math/rand"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

var (
	errFull  = RegisterError(errors.New("the volume is full"))
	errEmpty = RegisterError(errors.New("the volume is empty"))
	errAlone = errors.New("nobody has registered this")
)

// quotaError is registered as a pointer, codeError as it is, and stepError wraps errors.
type quotaError struct {
	Used, Limit int64
	Of          []string
	Inner       *quotaError
}

func (e *quotaError) Error() string { return fmt.Sprintf("%d of %d are used", e.Used, e.Limit) }

type codeError int

func (e codeError) Error() string { return fmt.Sprintf("code %d", int(e)) }

type stepError struct {
	Step        string
	Err, Second error
}

func (e *stepError) Error() string { return e.Step + ": " + e.Err.Error() }

type wrapError struct{ Err error }

func (e wrapError) Error() string { return "wrapped: " + e.Err.Error() }
func (e wrapError) Unwrap() error { return e.Err }

// noTextError has no text.
type noTextError struct{}

func (noTextError) Error() string { return "" }

func init() {
	RegisterErrorType[*quotaError]()
	RegisterErrorType[codeError]()
	RegisterErrorType[*stepError]()
	RegisterErrorType[wrapError]()
	RegisterErrorType[noTextError]()
}

var failKnown = Register("test.fail-known", func(_ context.Context, how string) (struct{}, error) {
	return struct{}{}, knownFailure(how)
})

func knownFailure(how string) error {
	switch how {
	case "sentinel":
		return fmt.Errorf("writing: %w", errFull)
	case "not registered":
		return errAlone
	case "two":
		return errors.Join(errEmpty, errFull, syscall.ENOSPC)
	case "pointer":
		return fmt.Errorf("writing: %w", &quotaError{Used: 7, Of: []string{"a"}, Inner: &quotaError{Limit: 9}})
	case "number":
		return codeError(0)
	case "struct":
		return wrapError{fmt.Errorf("opening: %w", &fs.PathError{Op: "open", Path: "/x", Err: syscall.EACCES})}
	case "fields":
		return &stepError{Step: "mount", Err: fmt.Errorf("no: %w", errFull)}
	case "no text":
		return &stepError{Step: "mount", Err: noTextError{}}
	case "no fields":
		return noTextError{}
	case "nil":
		var none *quotaError
		return fmt.Errorf("no %w", error(noMethod{none}))
	case "large":
		return &quotaError{Of: []string{strings.Repeat("x", 20<<20)}}
	}
	return nil
}

// noMethod wraps what has no text.
type noMethod struct{ error }

func (noMethod) Error() string   { return "nothing" }
func (e noMethod) Unwrap() error { return e.error }

// TestRegisteredErrorsAreFound by errors.Is and errors.As, as in the function's process.
func TestRegisteredErrorsAreFound(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	for name, caller := range callers(t) {
		call := func(how string) error {
			_, err := failKnown.Call(deadline(t, short), caller, how)
			if how != "large" && (err == nil || err.Error() != knownFailure(how).Error()) {
				t.Errorf("%s: %s: %v", name, how, err)
			}
			return err
		}
		if err := call("sentinel"); !errors.Is(err, errFull) || errors.Is(err, errEmpty) {
			t.Errorf("%s: a sentinel: %v", name, err)
		}
		if err := call("not registered"); errors.Is(err, errAlone) {
			t.Errorf("%s: not registered: %v", name, err)
		}
		if err := call("two"); !errors.Is(err, errFull) || !errors.Is(err, errEmpty) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: two: %v", name, err)
		}
		var quota *quotaError
		if err := call("pointer"); !errors.As(err, &quota) || quota.Used != 7 || quota.Of[0] != "a" ||
			quota.Inner.Limit != 9 {
			t.Errorf("%s: a pointer: %+v", name, quota)
		}
		code := codeError(1)
		if err := call("number"); !errors.As(err, &code) || code != 0 {
			t.Errorf("%s: a number: %v", name, code)
		}
		var wrapper wrapError
		if err := call("struct"); !errors.As(err, &wrapper) || wrapper.Err.Error() != "opening: open /x: permission denied" ||
			!errors.Is(wrapper, syscall.EACCES) || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: a struct: %+v", name, wrapper)
		}
		var step *stepError
		if err := call("fields"); !errors.As(err, &step) || step.Step != "mount" || step.Second != nil ||
			!errors.Is(step.Err, errFull) || errors.Is(step.Err, errEmpty) || errors.Is(err, errFull) {
			t.Errorf("%s: fields: %+v", name, step)
		}
		if err := call("no text"); !errors.As(err, &step) || step.Err == nil || step.Err.Error() != "" {
			t.Errorf("%s: no text: %+v", name, step)
		}
		var noText noTextError
		if err := call("no fields"); !errors.As(err, &noText) {
			t.Errorf("%s: no fields: %v", name, err)
		}
		quota = nil
		if err := call("nil"); errors.As(err, &quota) {
			t.Errorf("%s: nil has arrived as %+v", name, quota)
		}
		quota = nil
		if err := call("large"); err.Error() != "0 of 0 are used" || errors.As(err, &quota) {
			t.Errorf("%s: large: %v, %v", name, err, quota)
		}
	}
}

// TestSentinelsListsThoseThatAreRegistered, and what it returns is the caller's.
func TestSentinelsListsThoseThatAreRegistered(t *testing.T) {
	list := Sentinels()
	found := 0
	for i, err := range list {
		if err == errFull || err == fs.ErrNotExist {
			found++
		}
		list[i] = nil
	}
	if found != 2 || Sentinels()[0] == nil {
		t.Errorf("%d of 2 were found", found)
	}
}

type (
	hiddenError    struct{ text string }
	channelError   struct{ C chan int }
	interfaceError struct {
		Err   error
		Value any
	}
	hiddenBesideError struct {
		Err  error
		text string
	}
	sliceError []string
)

func (e hiddenError) Error() string       { return e.text }
func (channelError) Error() string        { return "" }
func (interfaceError) Error() string      { return "" }
func (e hiddenBesideError) Error() string { return e.text }
func (sliceError) Error() string          { return "a slice" }

func TestRefusedErrors(t *testing.T) {
	const here = "nsenter-cpp.example/nsenter/within."
	for _, c := range []struct {
		register func()
		want     string
	}{
		{func() { RegisterError(nil) }, "is nil"},
		{func() { RegisterError(sliceError{}) }, "cannot be compared"},
		{func() { RegisterError(errAlone) }, `within: the error "nobody has registered this" is registered at `},
		{func() { RegisterErrorType[error]() }, "error is a interface"},
		{func() { RegisterErrorType[hiddenError]() }, "field text of within.hiddenError is unexported"},
		{func() { RegisterErrorType[*channelError]() }, "field C of within.channelError: chan int is a chan"},
		{func() { RegisterErrorType[interfaceError]() }, "field Value of within.interfaceError: interface {} is a interface"},
		{func() { RegisterErrorType[*hiddenBesideError]() }, "errors of type *" + here + "hiddenBesideError, registered at "},
		{func() { RegisterErrorType[*hiddenBesideError]() }, "field text of within.hiddenBesideError is unexported"},
		{func() { RegisterErrorType[sliceError]() }, " after Init at "},
		{func() { knownErrors.add(&knownError{key: here + "codeError", site: "x:1"}) },
			`within: the error "` + here + `codeError" is registered at `},
		{func() { knownErrors.add(&knownError{key: "x:1", site: "x:1", sentinel: errFull}) }, " and at x:1"},
	} {
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, c.want) {
					t.Errorf("got %s, want %s", p, c.want)
				}
			}()
			c.register()
		}()
	}
}

// TestWhatIsNoErrorOfItsTypeIsNotBelieved: whatever a process sends, there is an error with its text, and no panic.
func TestWhatIsNoErrorOfItsTypeIsNotBelieved(t *testing.T) {
	nameOfQuota := nameOf(reflect.TypeFor[*quotaError]())
	good := sendable(knownFailure("pointer"))
	text, err := encode[*quotaError]("error", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		typed []sentTyped
	}{
		{"bytes", []sentTyped{{Type: nameOfQuota, Value: []byte{1, 2, 3}}}},
		{"nil", []sentTyped{{Type: nameOfQuota, Value: text}}},
		{"another type's", []sentTyped{{Type: nameOf(reflect.TypeFor[codeError]()), Value: good.Typed[0].Value}}},
		{"too few", []sentTyped{{Type: nameOf(reflect.TypeFor[*stepError]())}}},
		{"too many", []sentTyped{{Type: nameOf(reflect.TypeFor[wrapError]()), Wrapped: make([]sentMarks, 1000)}}},
		{"left over", []sentTyped{{nameOf(reflect.TypeFor[wrapError]()), []byte{1}, make([]sentMarks, 1)}}},
		{"no type", []sentTyped{{Type: "no such type"}}},
		{"a sentinel", []sentTyped{{Type: knownErrors.all()[0].key}}},
		{"too deep", []sentTyped{{Type: nameOfQuota, Value: make([]byte, recursiveSize+1)}}},
	} {
		var buffer bytes.Buffer
		marks := sentMarks{Text: "text", Sentinels: []int{-1, 1 << 30}, Registered: []string{"x"}}
		s := sentError{Marks: marks, Typed: c.typed}
		if err := gob.NewEncoder(&buffer).Encode(s); err != nil {
			t.Fatal(err)
		}
		got := decodeError(buffer.Bytes())
		var remote *RemoteError
		var quota *quotaError
		var code codeError
		var step *stepError
		if !errors.As(got, &remote) || got.Error() != "text" || errors.As(got, &quota) || errors.As(got, &code) ||
			errors.As(got, &step) {
			t.Errorf("%s: %#v", c.name, got)
		}
	}
	// The same one many times is one.
	s := good
	for range 1000 {
		s.Typed = append(s.Typed, good.Typed[0])
		s.Marks.Registered = append(s.Marks.Registered, knownErrors.all()[0].key)
	}
	if got := s.received().(*RemoteError); len(got.errs) != 2 {
		t.Errorf("%d errors", len(got.errs))
	}
	// Broken ones are decoded, or not.
	random := rand.New(rand.NewSource(1))
	decoded := 0
	for _, how := range []string{"two", "pointer", "number", "struct", "fields"} {
		text := encodeError(knownFailure(how), 0)
		for range 3000 {
			broken := bytes.Clone(text)
			for range 1 + random.Intn(3) {
				broken[random.Intn(len(broken))] ^= byte(1 << random.Intn(8))
			}
			err := decodeError(broken)
			errors.Is(err, errFull)
			if remote := (*RemoteError)(nil); errors.As(err, &remote) {
				decoded++
			}
		}
	}
	if decoded < 500 {
		t.Errorf("%d were decoded: these are no texts to learn from", decoded)
	}
}
