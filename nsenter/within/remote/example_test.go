// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package remote_test

import (
	"context"
	"fmt"
	"io"
	"os"

	"nsenter-cpp.example/nsenter/within"
	"nsenter-cpp.example/nsenter/within/remote"
)

// A listener in another network namespace, of which the connections are accepted here.
func ExampleListen() {
	ctx := context.Background()
	p := &within.Proc{New: within.User | within.Net} // of a container: Target: within.Of(pid, within.Net)
	s, err := p.Start(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	listener, err := remote.Listen(ctx, s, "unix", "@example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			io.WriteString(conn, "from outside")
			conn.Close()
		}
	}()
	conn, err := remote.Dial(ctx, s, "unix", "@example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	text, err := io.ReadAll(conn)
	fmt.Printf("%s, %v\n", text, err)
	// Output: from outside, <nil>
}

// A connection from a network namespace, here the one that the caller is in.
func ExampleDial() {
	_, err := remote.Dial(context.Background(), within.Here, "unix", "@nobody-listens")
	fmt.Println(err)
	// Output: dial unix @nobody-listens: connect: connection refused
}

// A file of a container's, which is surely no device and no FIFO.
func ExampleOpen() {
	ctx := context.Background()
	p := &within.Proc{New: within.User | within.Mount}
	_, err := remote.Open(ctx, p, "/dev/null", os.O_RDONLY, 0)
	fmt.Println(err)
	f, err := remote.Open(ctx, p, "/proc/version", os.O_RDONLY, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	fmt.Println(len(text) > 0, err)
	// Output:
	// open /dev/null: not a regular file
	// true <nil>
}
