// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package main

import (
	"fmt"
	"sort"
	"strings"
)

// argumentKind says whether an option has an argument.
type argumentKind int

const (
	none     argumentKind = iota
	required              // "-t 1", "-t1", "--target 1", "--target=1"
	optional              // "-mFILE", "--mount=FILE"
	longOnly              // "--mount=FILE"
)

// option is one of the command line, as getopt_long(3) knows them.
type option struct {
	short    byte // 0: none
	long     string
	argument argumentKind
	value    string // what stands for the argument in help: "FILE"
	text     string // of help
	left     string // why it is left out, for those that nsenter(1) or unshare(1) has and this command has not
}

// given is an option of a command line.
type given struct {
	long     string
	argument string
	hasValue bool // it has an argument
}

// usageError is a command line that is wrong.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// parse parses a command line up to its first argument that is no option, as getopt_long(3) with a "+" does: long names
// can be cut short, and options without arguments can stand together.
func parse(options []option, arguments []string) (list []given, rest []string, err error) {
	add := func(o *option, argument string, hasValue bool) error {
		if o.left != "" {
			return &usageError{fmt.Sprintf("option --%s is left out: %s", o.long, o.left)}
		}
		list = append(list, given{o.long, argument, hasValue})
		return nil
	}
	for len(arguments) > 0 {
		word := arguments[0]
		switch {
		case word == "--":
			return list, arguments[1:], nil
		case len(word) < 2 || word[0] != '-':
			return list, arguments, nil
		}
		arguments = arguments[1:]
		if name, found := strings.CutPrefix(word, "--"); found {
			name, argument, hasValue := strings.Cut(name, "=")
			o, err := findLong(options, name)
			if err != nil {
				return nil, nil, err
			}
			switch {
			case o.argument == none && hasValue:
				return nil, nil, &usageError{fmt.Sprintf("option --%s has no argument", o.long)}
			case o.argument == required && !hasValue:
				if len(arguments) == 0 {
					return nil, nil, &usageError{fmt.Sprintf("option --%s needs an argument", o.long)}
				}
				argument, hasValue, arguments = arguments[0], true, arguments[1:]
			}
			if err := add(o, argument, hasValue); err != nil {
				return nil, nil, err
			}
			continue
		}
		for letters := word[1:]; letters != ""; {
			o := findShort(options, letters[0])
			if o == nil {
				return nil, nil, &usageError{fmt.Sprintf("unknown option -%c", letters[0])}
			}
			letters = letters[1:]
			argument, hasValue := "", false
			if (o.argument == required || o.argument == optional) && letters != "" {
				argument, hasValue, letters = letters, true, ""
			}
			if o.argument == required && !hasValue {
				if len(arguments) == 0 {
					return nil, nil, &usageError{fmt.Sprintf("option -%c needs an argument", o.short)}
				}
				argument, hasValue, arguments = arguments[0], true, arguments[1:]
			}
			if err := add(o, argument, hasValue); err != nil {
				return nil, nil, err
			}
		}
	}
	return list, nil, nil
}

func findShort(options []option, letter byte) *option {
	for i := range options {
		if options[i].short == letter {
			return &options[i]
		}
	}
	return nil
}

func findLong(options []option, name string) (*option, error) {
	var found []*option
	for i := range options {
		if options[i].long == name {
			return &options[i], nil
		}
		if strings.HasPrefix(options[i].long, name) {
			found = append(found, &options[i])
		}
	}
	switch len(found) {
	case 0:
		return nil, &usageError{fmt.Sprintf("unknown option --%s", name)}
	case 1:
		return found[0], nil
	}
	var names []string
	for _, o := range found {
		names = append(names, "--"+o.long)
	}
	sort.Strings(names)
	return nil, &usageError{fmt.Sprintf("option --%s can be %s", name, strings.Join(names, ", "))}
}

// help lists options, one a line.
func help(options []option) string {
	var b strings.Builder
	for _, o := range options {
		if o.left != "" {
			continue
		}
		names := "    --" + o.long
		if o.short != 0 {
			names = fmt.Sprintf("-%c, --%s", o.short, o.long)
		}
		switch o.argument {
		case required:
			names += " " + o.value
		case optional, longOnly:
			names += "[=" + o.value + "]"
		}
		fmt.Fprintf(&b, "  %-30s %s\n", names, o.text)
	}
	return b.String()
}
