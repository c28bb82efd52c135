// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package within

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"errors"
	"fmt"
	"reflect"
)

// box is what is encoded: gob can send neither a nil pointer nor an empty struct by itself.
type box[T any] struct{ V T }

func encode[T any](what, name string, value T) ([]byte, error) {
	if isEmpty(reflect.TypeFor[T]()) {
		return nil, nil
	}
	var buffer bytes.Buffer
	if err := gob.NewEncoder(&buffer).Encode(box[T]{value}); err != nil {
		return nil, &EncodeError{What: what, Func: name, Err: err}
	}
	return buffer.Bytes(), nil
}

// decode takes bytes that may come from a process that a container has got hold of. Their number is
// limited by the frame that they came in, gob believes no length beyond it, and what it panics about is
// an error here.
func decode[T any](text []byte) (value T, err error) {
	if isEmpty(reflect.TypeFor[T]()) {
		if len(text) > 0 {
			err = errors.New("there is more than nothing")
		}
		return value, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("gob: %v", p)
		}
	}()
	var b box[T]
	reader := bytes.NewReader(text)
	if err := gob.NewDecoder(reader).Decode(&b); err != nil {
		return value, err
	}
	if reader.Len() > 0 {
		return value, fmt.Errorf("%d bytes are left over", reader.Len())
	}
	return b.V, nil
}

// isEmpty: struct{}, which says nothing and so is not sent.
func isEmpty(t reflect.Type) bool { return t.Kind() == reflect.Struct && t.NumField() == 0 }

var encoders = []reflect.Type{
	reflect.TypeFor[gob.GobEncoder](),
	reflect.TypeFor[encoding.BinaryMarshaler](),
	reflect.TypeFor[encoding.TextMarshaler](),
}

// checkType refuses what gob would refuse later, and what it would leave out without a word.
func checkType[T any]() error {
	t := reflect.TypeFor[T]()
	if isEmpty(t) {
		return nil
	}
	return checkSendable(t, make(map[reflect.Type]bool))
}

func checkSendable(t reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] {
		return nil
	}
	seen[t] = true
	for _, encoder := range encoders {
		if t.Implements(encoder) || reflect.PointerTo(t).Implements(encoder) {
			return nil
		}
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.UnsafePointer, reflect.Uintptr:
		return fmt.Errorf("%v is a %v", t, t.Kind())
	case reflect.Map:
		if err := checkSendable(t.Key(), seen); err != nil {
			return err
		}
		return checkSendable(t.Elem(), seen)
	case reflect.Array, reflect.Pointer, reflect.Slice:
		return checkSendable(t.Elem(), seen)
	case reflect.Struct:
		if t.NumField() == 0 {
			return fmt.Errorf("%v has no fields", t)
		}
		for i := range t.NumField() {
			field := t.Field(i)
			if !field.IsExported() {
				return fmt.Errorf("field %s of %v is unexported", field.Name, t)
			}
			if err := checkSendable(field.Type, seen); err != nil {
				return fmt.Errorf("field %s of %v: %w", field.Name, t, err)
			}
		}
	}
	return nil
}
