// SPDX-License-Identifier: Apache-2.0

//go:build go1.22

package within

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"reflect"
	"sync"
)

// RegisterError has errors.Is find err in a *RemoteError, if it has found it in the error that the function has
// returned. It returns err:
//
//	var ErrFull = within.RegisterError(errors.New("the volume is full"))
//
// RegisterError is for variable declarations at package level. It panics when Init has been called, and when err is
// nil, cannot be compared, or is registered already. Both processes know it by the place of the call and its text.
func RegisterError(err error) error {
	site := callSite(2)
	if err == nil {
		panic(fmt.Sprintf("within: the error at %s is nil", site))
	}
	if !reflect.TypeOf(err).Comparable() {
		panic(fmt.Sprintf("within: the error %q at %s cannot be compared", err, site))
	}
	functions.mustNotBeFrozen(fmt.Sprintf("the error %q", err), site)
	knownErrors.add(&knownError{key: site + ": " + err.Error(), site: site, sentinel: err})
	return err
}

// RegisterErrorType has errors.As find an error of type T in a *RemoteError, if it has found one in the error that the
// function has returned: a copy of it. T is a type that Register takes for results. A struct, or what a pointer points
// to, can have fields of type error, too: what is in those arrives as a *RemoteError in which errors.Is finds what it
// finds in all others. A pointer that is nil does not arrive.
//
//	func init() { within.RegisterErrorType[*QuotaError]() }
//
// RegisterErrorType is for functions named init. It panics when Init has been called, when T is registered already, and
// when it cannot be sent. An error that is larger than results can be, or than 64 KiB where they are smaller, arrives
// without its values.
//
// A process that others have got hold of can send any value of T, also for an error of another type. So methods of T
// must be able to deal with all values, and nothing may be concluded from one.
func RegisterErrorType[T error]() {
	site := callSite(2)
	name := nameOf(reflect.TypeFor[T]())
	k, err := newErrorType[T]()
	if err != nil {
		panic(fmt.Sprintf("within: errors of type %s, registered at %s, cannot be sent: %v", name, site, err))
	}
	functions.mustNotBeFrozen("the error type "+name, site)
	k.key, k.site = name, site
	knownErrors.add(k)
}

// nameOf is a name that no other type has, but for those that are declared in functions.
func nameOf(t reflect.Type) string {
	if t.Kind() == reflect.Pointer && t.Name() == "" {
		return "*" + nameOf(t.Elem())
	}
	if t.PkgPath() == "" {
		return t.String()
	}
	return t.PkgPath() + "." + t.Name()
}

// knownError is an error that keeps its identity, or a type of errors.
type knownError struct {
	key, site string
	sentinel  error // nil for a type

	// find finds an error of the type.
	find func(err error) (value []byte, wrapped []sentMarks, found bool)
	// receive makes one of what a process has sent.
	receive func(value []byte, wrapped []sentMarks) (error, error)
}

// knownList is the errors and types that are registered. It is not changed after Init.
type knownList struct {
	mutex sync.RWMutex
	list  []*knownError
	byKey map[string]*knownError
}

var knownErrors = knownList{byKey: make(map[string]*knownError)}

func (l *knownList) add(k *knownError) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, other := range l.list {
		if other.key == k.key || k.sentinel != nil && other.sentinel == k.sentinel {
			panic(fmt.Sprintf("within: the error %q is registered at %s and at %s", k.key, other.site, k.site))
		}
	}
	l.list = append(l.list, k)
	l.byKey[k.key] = k
}

func (l *knownList) all() []*knownError {
	l.mutex.RLock()
	defer l.mutex.RUnlock()
	return l.list
}

func (l *knownList) sentinels() (list []error) {
	for _, k := range l.all() {
		if k.sentinel != nil {
			list = append(list, k.sentinel)
		}
	}
	return list
}

// keysOf are the keys of the errors that errors.Is finds.
func (l *knownList) keysOf(err error) (keys []string) {
	for _, k := range l.all() {
		if k.sentinel != nil && errors.Is(err, k.sentinel) {
			keys = append(keys, k.key)
		}
	}
	return keys
}

// withKeys are the errors with these keys, each once.
func (l *knownList) withKeys(keys []string) (errs []error) {
	if len(keys) == 0 {
		return nil
	}
	named := make(map[string]bool)
	for _, key := range keys {
		named[key] = true
	}
	for _, k := range l.all() {
		if k.sentinel != nil && named[k.key] {
			errs = append(errs, k.sentinel)
		}
	}
	return errs
}

// sentTyped is an error of a type that is registered.
type sentTyped struct {
	Type    string
	Value   []byte
	Wrapped []sentMarks // those in its fields of type error
}

// find finds errors of the types that are registered.
func (l *knownList) find(err error) (found []sentTyped) {
	for _, k := range l.all() {
		if k.find == nil {
			continue
		}
		if value, wrapped, is := k.find(err); is {
			found = append(found, sentTyped{k.key, value, wrapped})
		}
	}
	return found
}

// received makes errors of what a process has sent, one of each type at most.
func (l *knownList) received(sent []sentTyped) (errs []error) {
	seen := make(map[string]bool)
	for _, s := range sent {
		l.mutex.RLock()
		k := l.byKey[s.Type]
		l.mutex.RUnlock()
		if k == nil || k.receive == nil || seen[s.Type] {
			continue
		}
		seen[s.Type] = true
		err, decodeErr := k.receive(s.Value, s.Wrapped)
		if decodeErr != nil {
			err = fmt.Errorf("within: an error of type %s cannot be decoded: %w", s.Type, decodeErr)
		}
		errs = append(errs, err)
	}
	return errs
}

var errorInterface = reflect.TypeFor[error]()

func newErrorType[T error]() (*knownError, error) {
	t := reflect.TypeFor[T]()
	structure := t
	if t.Kind() == reflect.Pointer {
		structure = t.Elem()
	}
	var wrapped []int // fields of type error
	if structure.Kind() == reflect.Struct && !encodesItself(t) {
		for i := range structure.NumField() {
			if f := structure.Field(i); f.Type == errorInterface && f.IsExported() {
				wrapped = append(wrapped, i)
			}
		}
	}
	if len(wrapped) > 0 {
		return newWrapperType[T](structure, wrapped)
	}
	if err := checkType[T](); err != nil {
		return nil, err
	}
	if err := checkNoFiles(t); err != nil {
		return nil, err
	}
	isLimited := isRecursive(t, make(map[reflect.Type]bool))
	var values decoder[T]
	return &knownError{
		find: func(err error) ([]byte, []sentMarks, bool) {
			var e T
			if !errors.As(err, &e) || isNilPointer(reflect.ValueOf(&e).Elem()) {
				return nil, nil, false
			}
			value, encodeErr := encode("error", nameOf(t), e)
			return value, nil, encodeErr == nil
		},
		receive: func(value []byte, _ []sentMarks) (error, error) {
			if isLimited && len(value) > recursiveSize {
				return nil, ErrTooLarge
			}
			e, err := values.decode(value)
			if err == nil && isNilPointer(reflect.ValueOf(&e).Elem()) {
				err = errors.New("it is nil")
			}
			return e, err
		},
	}, nil
}

func checkNoFiles(t reflect.Type) error {
	if has, err := hasFiles(t); has || err != nil {
		return fmt.Errorf("%v has files, which do not go with errors", t)
	}
	return nil
}

func isNilPointer(v reflect.Value) bool { return v.Kind() == reflect.Pointer && v.IsNil() }

// newWrapperType is for a struct, or a pointer to one, with fields of type error. All others are sent as a struct of
// their own: gob would take an interface for a leave to decode whatever type it knows.
func newWrapperType[T error](structure reflect.Type, wrapped []int) (*knownError, error) {
	isWrapped := make(map[int]bool)
	for _, i := range wrapped {
		isWrapped[i] = true
	}
	var fields []reflect.StructField
	var numbers []int // of fields
	for i := range structure.NumField() {
		f := structure.Field(i)
		if isWrapped[i] {
			continue
		}
		if !f.IsExported() {
			return nil, fmt.Errorf("field %s of %v is unexported", f.Name, structure)
		}
		if err := checkSendable(f.Type, make(map[reflect.Type]bool)); err != nil {
			return nil, fmt.Errorf("field %s of %v: %w", f.Name, structure, err)
		}
		fields = append(fields, reflect.StructField{Name: f.Name, Type: f.Type})
		numbers = append(numbers, i)
	}
	sent := reflect.StructOf(fields)
	if err := checkNoFiles(sent); err != nil {
		return nil, err
	}
	isLimited := isRecursive(sent, make(map[reflect.Type]bool))
	return &knownError{
		find: func(err error) (value []byte, marks []sentMarks, found bool) {
			var e T
			if !errors.As(err, &e) {
				return nil, nil, false
			}
			from := reflect.ValueOf(&e).Elem()
			if from.Kind() == reflect.Pointer {
				if from.IsNil() {
					return nil, nil, false
				}
				from = from.Elem()
			}
			for _, i := range wrapped {
				mark := sentMarks{IsNil: true}
				if inner, _ := from.Field(i).Interface().(error); inner != nil {
					mark = marksOf(inner)
				}
				marks = append(marks, mark)
			}
			if len(numbers) == 0 {
				return nil, marks, true
			}
			others := reflect.New(sent).Elem()
			for i, number := range numbers {
				others.Field(i).Set(from.Field(number))
			}
			var buffer bytes.Buffer
			if gob.NewEncoder(&buffer).EncodeValue(others) != nil {
				return nil, nil, false
			}
			return buffer.Bytes(), marks, true
		},
		receive: func(value []byte, marks []sentMarks) (received error, err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("gob: %v", p)
				}
			}()
			if isLimited && len(value) > recursiveSize {
				return nil, ErrTooLarge
			}
			if len(marks) != len(wrapped) {
				return nil, fmt.Errorf("it has %d errors, not %d", len(marks), len(wrapped))
			}
			others := reflect.New(sent)
			reader := bytes.NewReader(value)
			if len(numbers) > 0 {
				if err := gob.NewDecoder(reader).DecodeValue(others); err != nil {
					return nil, err
				}
			}
			if left := reader.Len(); left > 0 {
				return nil, fmt.Errorf("%d bytes are left over", left)
			}
			to := reflect.New(structure)
			for i, number := range numbers {
				to.Elem().Field(number).Set(others.Elem().Field(i))
			}
			for i, number := range wrapped {
				if !marks[i].IsNil {
					inner := &RemoteError{Text: marks[i].Text, errs: marks[i].errors()}
					to.Elem().Field(number).Set(reflect.ValueOf(inner))
				}
			}
			if reflect.TypeFor[T]().Kind() != reflect.Pointer {
				to = to.Elem()
			}
			return to.Interface().(error), nil
		},
	}, nil
}
