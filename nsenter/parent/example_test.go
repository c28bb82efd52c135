// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package parent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"nsenter-cpp.example/nsenter/bootstrap"
	"nsenter-cpp.example/nsenter/parent"
)

// program is a command that links nsenter, as init processes do; here it is this test program, in a role in
// which it copies its INITPIPE to standard output.
func program(m *bootstrap.Message) *parent.Cmd {
	return &parent.Cmd{
		Path:    "/proc/self/exe",
		Args:    []string{"init"},
		Env:     []string{"PARENT_TEST_ROLE=init"},
		Dir:     "/",
		Stderr:  os.Stderr,
		Message: m,
	}
}

// newUser is a user namespace in which root is who the caller is outside. Nobody has to be root for it.
func newUser(kinds bootstrap.Namespaces) *bootstrap.Message {
	return &bootstrap.Message{
		Create:   bootstrap.User | kinds,
		UIDMap:   []bootstrap.IDRange{{Inside: 0, Outside: uint32(os.Geteuid()), Count: 1}},
		GIDMap:   []bootstrap.IDRange{{Inside: 0, Outside: uint32(os.Getegid()), Count: 1}},
		Rootless: os.Geteuid() != 0,
	}
}

// A container's init process is launched, told what it has to know, and waited for.
func Example() {
	read, write, err := os.Pipe()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer read.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := program(newUser(bootstrap.PID | bootstrap.Net))
	cmd.Stdout = write
	init, err := cmd.Start(ctx)
	write.Close()
	if err != nil {
		fmt.Println(err)
		return
	}
	io.WriteString(init.Conn, "a document\n")
	init.Conn.Close()
	output, _ := io.ReadAll(read)
	state, err := init.Wait()
	fmt.Printf("%s%v %v\n", output, state, err)
	// Output:
	// ready
	// a document
	// exit status 7 <nil>
}

// What goes wrong in the launched process is an error with its parts.
func ExampleFatalError() {
	m := newUser(0)
	m.Join = []bootstrap.Join{{Kind: bootstrap.Net, Path: "/run/netns/blue"}}
	_, err := program(m).Start(context.Background())
	fmt.Println(err)
	var fatal *parent.FatalError
	if errors.As(err, &fatal) {
		fmt.Println(fatal.Namespace, fatal.Path, errors.Is(err, fs.ErrNotExist))
	}
	// Output:
	// nsenter: failed to open net namespace /run/netns/blue: No such file or directory
	// net /run/netns/blue true
}

// A process is moved into its cgroup before anything is done, and the log of the launch is kept.
func ExampleCmd() {
	var log bytes.Buffer
	cmd := program(newUser(0))
	cmd.BeforeMessage = func(pid int) error {
		// Here: os.WriteFile("/sys/fs/cgroup/NAME/cgroup.procs", []byte(strconv.Itoa(pid)), 0)
		return nil
	}
	cmd.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	init, err := cmd.Start(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	init.Conn.Close()
	init.Wait()
	fmt.Println(bytes.Contains(log.Bytes(), []byte("nsexec container setup")))
	// Output: true
}
