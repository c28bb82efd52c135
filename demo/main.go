// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

// Command demo shows what nsenter is for, and fails if anything is not as it says.
//
//	go run ./demo joining     a program enters the namespaces of a running process
//	go run ./demo container   runc, built on this nsenter, runs a container and enters it again
//
// Both need root. `make demo` installs what they need and runs both.
package main

import (
	"errors"
	"fmt"
	"os"

	// This is all a program has to do. When this demo starts itself again, with _LIBCONTAINER_INITPID
	// in the environment, the constructor in this package moves it into other namespaces before main.
	_ "nsenter-cpp.example/nsenter"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: demo joining|container")
	}
	if args[0] == insideArgument {
		return reportFromInside()
	}
	if os.Geteuid() != 0 {
		return errors.New("this needs root, which may join any process's namespaces")
	}
	switch args[0] {
	case "joining":
		return joining()
	case "container":
		return container()
	}
	return fmt.Errorf("unknown part %q", args[0])
}

func say(format string, args ...interface{}) { fmt.Printf(format+"\n", args...) }
