// SPDX-License-Identifier: Apache-2.0

//go:build go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
)

// Func is a function that can be called in other namespaces.
type Func[A, R any] struct {
	name      string
	results   decoder[R]
	recursive bool // R is
	// A and R have files.
	argumentFiles, resultFiles bool
}

// Caller is where a function runs: a *Proc starts a process for one call, in a *Session each call is
// one of many, a *Place is a session that a Pool starts, and Here is the calling process.
type Caller interface {
	// call closes the descriptors of the argument; those of the result are its caller's.
	call(ctx context.Context, name string, argument message) (message, error)
}

// Register makes a function callable in other namespaces. The name says which function is meant to the
// child, which is this same program; by convention it begins with the import path.
//
// Register is for variable declarations at package level. It panics when Init has been called, when the
// name is taken, and when A or R have parts that cannot be sent: channels, functions, interfaces, uintptr,
// unsafe.Pointer, unexported fields and structs without fields (unless the type is a gob.GobEncoder or
// encoding.BinaryMarshaler).
//
// Values travel as encoding/gob sends them: a pointer to a zero number, string or bool in a struct arrives as nil, and
// so does an empty slice. A result of a type that contains itself, as a tree does, can have 1 MiB: who has got hold of
// the process could otherwise nest it until no stack is large enough.
func Register[A, R any](name string, function func(context.Context, A) (R, error)) *Func[A, R] {
	site := callSite(2)
	if err := checkType[A](); err != nil {
		panic(fmt.Sprintf("within: the argument of %q at %s cannot be sent: %v", name, site, err))
	}
	if err := checkType[R](); err != nil {
		panic(fmt.Sprintf("within: the result of %q at %s cannot be sent: %v", name, site, err))
	}
	var arguments decoder[A]
	argumentFiles, err := hasFiles(reflect.TypeFor[A]())
	if err != nil {
		panic(fmt.Sprintf("within: the argument of %q at %s cannot be sent: %v", name, site, err))
	}
	resultFiles, err := hasFiles(reflect.TypeFor[R]())
	if err != nil {
		panic(fmt.Sprintf("within: the result of %q at %s cannot be sent: %v", name, site, err))
	}
	functions.add(name, registered{site: site, run: func(ctx context.Context, argument message) (message, error) {
		a, err := decodeMessage(&arguments, argument, argumentFiles)
		if err != nil {
			return message{}, fmt.Errorf("within: the argument of %q cannot be decoded: %w", name, err)
		}
		r, err := function(ctx, a)
		if err != nil && reflect.ValueOf(&r).Elem().IsZero() {
			return message{}, err // as most do, and the zero result is what the caller has then
		}
		result, encodeErr := encodeMessage("result", name, r, resultFiles)
		if resultFiles {
			closeResult(&r)
		}
		if err == nil {
			err = encodeErr
		}
		return result, err
	}})
	return &Func[A, R]{
		name:          name,
		recursive:     isRecursive(reflect.TypeFor[R](), make(map[reflect.Type]bool)),
		argumentFiles: argumentFiles,
		resultFiles:   resultFiles,
	}
}

// Bound is a function with its argument, for Cmd.Before.
type Bound struct {
	name     string
	argument []byte
	err      error
}

// Bind is the function with an argument, for Cmd.Before. An argument that cannot be encoded, or that has files, is an
// error of Cmd.Start's.
func (f *Func[A, R]) Bind(argument A) *Bound {
	sent, err := encodeMessage("argument", f.name, argument, f.argumentFiles)
	if len(sent.files) > 0 {
		sent.close()
		err = &EncodeError{What: "argument", Func: f.name, Err: errors.New("files cannot be bound")}
	}
	return &Bound{f.name, sent.body, err}
}

// Call runs the function in c and returns what it returns, a result along with an error too. An error of the
// function's is a *RemoteError, a panic a *PanicError. When ctx ends, Call returns context.Cause(ctx): the process of
// a *Proc is killed; in a *Session the function's context is cancelled, and the function goes on until it returns. It
// does not begin, however late the process gets to it, if the call was not sent by then or ctx had a deadline.
func (f *Func[A, R]) Call(ctx context.Context, c Caller, argument A) (R, error) {
	var none R
	if isNested(ctx) {
		return none, ErrNested
	}
	sent, err := encodeMessage("argument", f.name, argument, f.argumentFiles)
	if err != nil {
		return none, err
	}
	received, err := c.call(ctx, f.name, sent)
	if err != nil && len(received.body) == 0 {
		received.close()
		return none, err
	}
	result, resultErr := f.decode(received)
	if err == nil {
		err = resultErr
	}
	return result, err
}

func (f *Func[A, R]) decode(received message) (result R, err error) {
	if f.recursive && len(received.body) > recursiveSize {
		received.close()
		return result, errResult(f.name, len(received.body))
	}
	value, err := decodeMessage(&f.results, received, f.resultFiles)
	if err != nil {
		return result, fmt.Errorf("within: the result of %q cannot be decoded: %w", f.name, err)
	}
	return value, nil
}

// Name is the name with which the function was registered.
func (f *Func[A, R]) Name() string { return f.name }

// registered is a function as the child finds it.
type registered struct {
	site string
	run  func(ctx context.Context, argument message) (message, error)
}

// registry has the functions by name. After Init nothing is added: parent and child must have the same.
type registry struct {
	mutex  sync.Mutex
	byName map[string]registered
	initAt string // where Init was called
}

var functions = registry{byName: make(map[string]registered)}

func (r *registry) add(name string, f registered) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.initAt != "" {
		panic(fmt.Sprintf("within: %q is registered at %s after Init at %s", name, f.site, r.initAt))
	}
	if other, taken := r.byName[name]; taken {
		panic(fmt.Sprintf("within: %q is registered at %s and at %s", name, other.site, f.site))
	}
	r.byName[name] = f
}

func (r *registry) find(name string) (registered, bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	f, found := r.byName[name]
	return f, found
}

func (r *registry) freeze(site string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.initAt == "" {
		r.initAt = site
	}
}

// mustNotBeFrozen panics if Init has been called before something is registered at a site.
func (r *registry) mustNotBeFrozen(what, site string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.initAt != "" {
		panic(fmt.Sprintf("within: %s is registered at %s after Init at %s", what, site, r.initAt))
	}
}

func (r *registry) frozen() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.initAt != ""
}

func callSite(skip int) string {
	_, file, line, _ := runtime.Caller(skip)
	return fmt.Sprintf("%s:%d", file, line)
}
