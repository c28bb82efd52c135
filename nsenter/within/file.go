// SPDX-License-Identifier: Apache-2.0

//go:build go1.22

package within

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
)

// File is an open file in an argument or a result, which arrives as another descriptor of it (SCM_RIGHTS, unix(7)).
// Descriptors have close-on-exec everywhere. An argument or a result can have 64 of them: with more, the error is
// ErrTooLarge. They can be in structs, slices, arrays, and behind pointers. Register panics if they are in maps, or in
// a type that contains itself. In types that encode themselves, and in errors, files do not arrive.
//
// The maker of a call keeps the files of its argument. The function closes those that it gets. The files of its result
// are closed there when the function returns, and belong to the caller from then on. If a call fails before the
// function begins, or its result does not arrive, all descriptors of it that this package has made are closed.
//
// The caller's files give rights: a folder of the caller's is a way out of the target's root for all who get hold of
// the function's process. In the other direction, the process is not trusted. A File that arrives is open, and nothing
// else is certain: it can be any kind of file, with any flags, which others have open too, and change. To read it can
// take for ever, if it is a FIFO or lies on FUSE for instance, and so can closing it. Package remote looks at files
// before it returns them.
type File struct {
	*os.File      // nil is no file
	isSent   bool // and there is one to be put here
}

// maxSentFiles is how many files an argument or a result can have. The kernel's limit is 253 (SCM_MAX_FD).
const maxSentFiles = 64

// GobEncode says whether there is a file. The file itself is sent apart from that, with an argument or a result of this
// package only.
func (f File) GobEncode() ([]byte, error) {
	if f.File == nil {
		return []byte{0}, nil
	}
	return []byte{1}, nil
}

// GobDecode reads whether there is a file. It is nil until this package puts it there.
func (f *File) GobDecode(text []byte) error {
	if len(text) != 1 || text[0] > 1 {
		return errors.New("within: a File is one byte, 0 or 1")
	}
	*f = File{isSent: text[0] == 1}
	return nil
}

var fileType = reflect.TypeFor[File]()

// message is an encoded argument or result, with descriptors. Its owner closes them, or hands them on.
type message struct {
	body  []byte
	files []int
}

// close closes the descriptors. Some other process decides how long that takes (a file can lie on FUSE), so nobody
// waits for it.
func (m message) close() { closeDescriptors(m.files) }

// hasFiles tells whether a type has files, which have to be where they are found in order.
func hasFiles(t reflect.Type) (bool, error) {
	if has, isKnown := typesWithFiles.Load(t); isKnown {
		return has.(bool), nil
	}
	has, err := findFiles(t, make(map[reflect.Type]bool))
	if err == nil {
		typesWithFiles.Store(t, has)
	}
	return has, err
}

// typesWithFiles has what is known of types.
var typesWithFiles sync.Map

func findFiles(t reflect.Type, above map[reflect.Type]bool) (found bool, err error) {
	if t == fileType {
		return true, nil
	}
	if above[t] || encodesItself(t) {
		return false, nil
	}
	above[t] = true
	defer delete(above, t)
	switch t.Kind() {
	case reflect.Map:
		inKey, keyErr := findFiles(t.Key(), above)
		inValue, valueErr := findFiles(t.Elem(), above)
		if inKey || inValue {
			return true, fmt.Errorf("%v is a map with files", t)
		}
		return false, errors.Join(keyErr, valueErr)
	case reflect.Array, reflect.Pointer, reflect.Slice:
		found, err = findFiles(t.Elem(), above)
	case reflect.Struct:
		for i := range t.NumField() {
			inField, fieldErr := findFiles(t.Field(i).Type, above)
			found = found || inField
			if err == nil {
				err = fieldErr
			}
		}
	}
	if found && err == nil && isRecursive(t, make(map[reflect.Type]bool)) {
		err = fmt.Errorf("%v contains itself, and files", t)
	}
	return found, err
}

// eachFile calls a function for the files of a value, in order, until one fails.
func eachFile(v reflect.Value, do func(f *File) error) error {
	if v.Type() == fileType {
		return do(v.Addr().Interface().(*File))
	}
	if is, _ := hasFiles(v.Type()); !is {
		return nil
	}
	switch v.Kind() {
	case reflect.Array, reflect.Slice:
		for i := range v.Len() {
			if err := eachFile(v.Index(i), do); err != nil {
				return err
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return eachFile(v.Elem(), do)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if err := eachFile(v.Field(i), do); err != nil {
				return err
			}
		}
	}
	return nil
}

// duplicateFiles makes descriptors of the files of a value, which are the caller's.
func duplicateFiles[T any](what, name string, value *T) (files []int, err error) {
	number := 0
	err = eachFile(reflect.ValueOf(value).Elem(), func(f *File) error {
		if f.File == nil {
			return nil
		}
		if number++; number > maxSentFiles {
			return fmt.Errorf("within: the %s of %q has more than %d files: %w", what, name, maxSentFiles, ErrTooLarge)
		}
		fd, err := duplicateDescriptor(f.File)
		if err != nil {
			return &EncodeError{What: what, Func: name, Err: err}
		}
		files = append(files, fd)
		return nil
	})
	if err != nil {
		closeDescriptors(files)
		return nil, err
	}
	return files, nil
}

// putFiles puts descriptors where a value says that there are files. If they are not as many, all are closed.
func putFiles[T any](value *T, files []int) error {
	left := files
	var put []*File
	err := eachFile(reflect.ValueOf(value).Elem(), func(f *File) error {
		if !f.isSent {
			return nil
		}
		if len(left) == 0 {
			return errors.New("it has more files than were sent")
		}
		put = append(put, f)
		left = left[1:]
		return nil
	})
	if err == nil && len(left) > 0 {
		err = errors.New("it has fewer files than were sent")
	}
	if err != nil {
		closeDescriptors(files)
		return err
	}
	for i, f := range put {
		*f = File{File: os.NewFile(uintptr(files[i]), fmt.Sprintf("file %d of a call", i))}
	}
	return nil
}

// closeResult closes the files of a result, of which there are duplicates by now, or will not be any.
func closeResult[T any](value *T) {
	eachFile(reflect.ValueOf(value).Elem(), func(f *File) error {
		if f.File != nil {
			f.File.Close()
		}
		return nil
	})
}

// encodeMessage encodes a value and makes descriptors of its files, if its type has any.
func encodeMessage[T any](what, name string, value T, hasFiles bool) (message, error) {
	body, err := encode(what, name, value)
	if err != nil || !hasFiles {
		return message{body: body}, err
	}
	files, err := duplicateFiles(what, name, &value)
	if err != nil {
		return message{}, err
	}
	return message{body, files}, nil
}

// decodeMessage decodes a message, whose descriptors belong to the value, or are closed.
func decodeMessage[T any](d *decoder[T], m message, hasFiles bool) (value T, err error) {
	if value, err = d.decode(m.body); err != nil {
		m.close()
		return value, err
	}
	if !hasFiles && len(m.files) == 0 {
		return value, nil
	}
	if err := putFiles(&value, m.files); err != nil {
		var none T
		return none, err
	}
	return value, nil
}
