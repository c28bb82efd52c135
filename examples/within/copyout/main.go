// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

// Command copyout copies a file out of the mount namespace of a process to standard output. Symbolic
// links mean what they mean in there: the function runs in the container's root.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"

	"nsenter-cpp.example/nsenter/within"
)

var cat = within.Register("copyout.cat", func(_ context.Context, path string) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return io.Copy(os.Stdout, file)
})

func main() {
	within.Init()
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: copyout PID FILE")
		os.Exit(2)
	}
	pid, err := strconv.Atoi(os.Args[1])
	if err == nil {
		p := &within.Proc{
			Target: within.Of(pid, within.Mount),
			Stdout: os.Stdout,
		}
		_, err = cat.Call(context.Background(), p, os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "copyout:", err)
		os.Exit(1)
	}
}
