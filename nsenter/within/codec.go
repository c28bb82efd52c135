// SPDX-License-Identifier: Apache-2.0

//go:build go1.22

package within

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"errors"
	"fmt"
	"reflect"
	"sync"
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

// decoder decodes values of one type. Its zero value is ready; it can be used by many at a time.
type decoder[T any] struct{ primed sync.Pool }

// primed is a gob decoder that has read how a type is defined, for which it takes ten times as long as
// for a value.
type primed struct {
	definitions []byte
	text        *bytes.Reader
	gob         *gob.Decoder
}

// decode takes bytes that may come from a process that a container has got hold of. Their number is
// limited by the frame that they came in, gob believes no length beyond it, and what it panics about is
// an error here; for what it nests see recursiveSize. A decoder that has not decoded them is not used again.
func (d *decoder[T]) decode(text []byte) (value T, err error) {
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
	definitions := text[:lastMessage(text)]
	p, _ := d.primed.Get().(*primed)
	if p != nil && bytes.Equal(p.definitions, definitions) {
		p.text.Reset(text[len(definitions):])
	} else {
		reader := bytes.NewReader(text)
		p = &primed{bytes.Clone(definitions), reader, gob.NewDecoder(reader)}
	}
	var b box[T]
	if err := p.gob.Decode(&b); err != nil {
		return value, err
	}
	if left := p.text.Len(); left > 0 {
		return value, fmt.Errorf("%d bytes are left over", left)
	}
	if len(text) <= primedSize {
		p.text.Reset(nil)
		d.primed.Put(p)
	}
	return b.V, nil
}

// primedSize is how many bytes a decoder can have decoded that is used again. It keeps a buffer of that size, and in a
// process that waits for its next call the garbage collector hardly ever runs.
const primedSize = 64 << 10

// lastMessage is where in a gob stream its last message begins, which is the value. Those before it
// define types. Of what is no such stream it is anywhere.
func lastMessage(text []byte) int {
	last := 0
	for next := 0; next < len(text); {
		last = next
		// A length is one byte, or that many that follow: the complement of their number.
		size, width := uint64(text[next]), 1
		if size > 0x7f {
			width = 1 + int(^text[next]) + 1
			if next+width > len(text) {
				break
			}
			size = 0
			for _, b := range text[next+1 : next+width] {
				size = size<<8 | uint64(b)
			}
		}
		if size > uint64(len(text)-next-width) {
			break
		}
		next += width + int(size)
	}
	return last
}

// isEmpty: struct{}, which says nothing and so is not sent.
func isEmpty(t reflect.Type) bool { return t.Kind() == reflect.Struct && t.NumField() == 0 }

var encoders = []reflect.Type{
	reflect.TypeFor[gob.GobEncoder](),
	reflect.TypeFor[encoding.BinaryMarshaler](),
}

func encodesItself(t reflect.Type) bool {
	for _, encoder := range encoders {
		if t.Implements(encoder) || reflect.PointerTo(t).Implements(encoder) {
			return true
		}
	}
	return false
}

// checkType refuses what gob would refuse later, and what it would leave out without a word.
func checkType[T any]() error {
	t := reflect.TypeFor[T]()
	if isEmpty(t) {
		return nil
	}
	return checkSendable(t, make(map[reflect.Type]bool))
}

// recursiveSize is how many bytes a result can have if its type is recursive. gob nests what it decodes as deep as it
// is sent, two bytes a level, and Go ends a program that needs more than 1 GB of stack: that would take some 3 MB.
const recursiveSize = 1 << 20

// isRecursive tells whether a type contains itself; above are those that contain it.
func isRecursive(t reflect.Type, above map[reflect.Type]bool) bool {
	if above[t] {
		return true
	}
	above[t] = true
	defer delete(above, t)
	if encodesItself(t) {
		return false
	}
	switch t.Kind() {
	case reflect.Map:
		return isRecursive(t.Key(), above) || isRecursive(t.Elem(), above)
	case reflect.Array, reflect.Pointer, reflect.Slice:
		return isRecursive(t.Elem(), above)
	case reflect.Struct:
		for i := range t.NumField() {
			if isRecursive(t.Field(i).Type, above) {
				return true
			}
		}
	}
	return false
}

func checkSendable(t reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] {
		return nil
	}
	seen[t] = true
	if encodesItself(t) {
		return nil
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
