// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"nsenter-cpp.example/nsenter/within"
)

// Functions are registered when the program is initialised.
var (
	readFile = within.Register("example.com/doc.readFile",
		func(_ context.Context, path string) ([]byte, error) { return os.ReadFile(path) })
	rename = within.Register("example.com/doc.rename",
		func(_ context.Context, name string) (string, error) {
			if err := syscall.Sethostname([]byte(name)); err != nil {
				return "", err
			}
			return os.Hostname()
		})
)

// An error, and a type of errors, that keep their identity when a function returns them.
var errReadOnly = within.RegisterError(errors.New("the volume is read-only"))

type volumeError struct {
	Volume string
	Err    error
}

func (e *volumeError) Error() string { return e.Volume + ": " + e.Err.Error() }

func init() { within.RegisterErrorType[*volumeError]() }

var format = within.Register("example.com/doc.format",
	func(_ context.Context, volume string) (struct{}, error) {
		return struct{}{}, &volumeError{volume, fmt.Errorf("formatting: %w", errReadOnly)}
	})

func ExampleRegisterError() {
	_, err := format.Call(context.Background(), &within.Proc{New: within.User}, "data")
	var failed *volumeError
	if errors.As(err, &failed) {
		fmt.Println(failed.Volume, errors.Is(failed.Err, errReadOnly))
	}
	// Output: data true
}

func ExampleRegisterErrorType() {
	_, err := format.Call(context.Background(), &within.Proc{New: within.User}, "data")
	var failed *volumeError
	fmt.Println(errors.As(err, &failed), err)
	// Output: true data: formatting: the volume is read-only
}

// A function called in a process of its own, in new namespaces, for which nobody has to be root. (In a
// program, within.Init comes first in main; here TestMain has called it.)
func Example() {
	p := &within.Proc{New: within.User | within.UTS, Stderr: os.Stderr}
	name, err := rename.Call(context.Background(), p, "inside")
	fmt.Println(name, err)
	// Output: inside <nil>
}

// A session is one process for many calls. A call finds what the one before has done to the namespaces.
func ExampleProc_Start() {
	ctx := context.Background()
	s, err := (&within.Proc{New: within.User | within.UTS}).Start(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	for _, name := range []string{"first", "second"} {
		fmt.Println(rename.Call(ctx, s, name))
	}
	// Output:
	// first <nil>
	// second <nil>
}

// An open file of a container's. (To be sure that it is no FIFO or device, use package remote.)
var openFile = within.Register("example.com/doc.openFile",
	func(_ context.Context, path string) (within.File, error) {
		f, err := os.Open(path)
		return within.File{File: f}, err
	})

func ExampleFile() {
	f, err := openFile.Call(context.Background(), &within.Proc{New: within.User}, "/proc/version")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	fmt.Println(len(text) > 0, err)
	// Output: true <nil>
}

// A session that somebody ends: those who wait for it learn of it, and why.
func ExampleSession_Kill() {
	s, err := (&within.Proc{New: within.User | within.UTS}).Start(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Err())
	s.Kill()
	<-s.Done()
	fmt.Println(s.Err())
	// Output:
	// <nil>
	// within: the session has been killed
}

// A session for each target, which starts with the first call and ends when it has had none for a minute.
func ExamplePool() {
	pool := &within.Pool{Proc: &within.Proc{New: within.User | within.UTS}}
	defer pool.Close()
	place, err := pool.At(within.Target{}) // of a container: within.Of(pid, within.All)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer place.Close()
	for _, name := range []string{"first", "second"} {
		fmt.Println(rename.Call(context.Background(), place, name))
	}
	// Output:
	// first <nil>
	// second <nil>
}

// A unit test of a function needs no namespaces, and so no root.
func ExampleHere() {
	_, err := readFile.Call(context.Background(), within.Here, "/no/such/file")
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output: true
}

// The function's errors keep their meaning.
func ExampleFunc_Call() {
	p := &within.Proc{New: within.User | within.Mount}
	_, err := readFile.Call(context.Background(), p, "/no/such/file")
	fmt.Println(err)
	fmt.Println(errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOENT))
	// Output:
	// open /no/such/file: no such file or directory
	// true true
}

// A program instead of a function. It is pid 1 of its pid namespace.
func ExampleCommand() {
	p := &within.Proc{New: within.User | within.PID}
	output, err := within.Command(p, "sh", "-c", "echo $$").Output(context.Background())
	fmt.Printf("%s%v\n", output, err)
	// Output:
	// 1
	// <nil>
}

// A program as a user who may do nothing but use raw sockets, whatever it executes.
func ExampleAttr() {
	const netRaw = 1 << 13 // CAP_NET_RAW
	sets := within.Capabilities{Bounding: netRaw, Permitted: netRaw, Effective: netRaw, Inheritable: netRaw,
		Ambient: netRaw}
	cmd := within.Command(&within.Proc{New: within.User | within.Net}, "grep", "CapBnd", "/proc/self/status")
	cmd.Attr = &within.Attr{Capabilities: &sets, NoNewPrivs: true}
	output, err := cmd.Output(context.Background())
	fmt.Printf("%s%v\n", output, err)
	// Output:
	// CapBnd:	0000000000002000
	// <nil>
}

// A shell in a container, with the rights of the container's own processes and not those of this program.
func ExampleCmd_Confine() {
	pid1 := 4711
	cmd := within.Command(&within.Proc{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}, "sh")
	if err := cmd.Confine(context.Background(), pid1); err != nil {
		fmt.Println(errors.Is(err, syscall.ESRCH)) // there is no such process
		return
	}
	cmd.Run(context.Background())
	// Output: true
}

var nameHost = within.Register("example.com/doc.name-host", func(_ context.Context, name string) (struct{}, error) {
	return struct{}{}, syscall.Sethostname([]byte(name))
})

// A function that runs in the program's process first.
func ExampleFunc_Bind() {
	cmd := within.Command(&within.Proc{New: within.User | within.UTS}, "hostname")
	cmd.Before = nameHost.Bind("sandbox")
	output, err := cmd.Output(context.Background())
	fmt.Printf("%s%v\n", output, err)
	// Output:
	// sandbox
	// <nil>
}

// A program with the ids of another process, and in its cgroups.
func ExampleCredentialOf() {
	cmd := within.Command(&within.Proc{New: within.UTS}, "id", "-u")
	var idsErr, cgroupsErr error
	cmd.Attr = &within.Attr{}
	cmd.Attr.Credential, idsErr = within.CredentialOf(os.Getpid())
	cmd.Attr.Cgroups, cgroupsErr = within.CgroupsOf(os.Getpid())
	fmt.Println(cmd.Attr.Credential.Uid == uint32(os.Getuid()), len(cmd.Attr.Cgroups), idsErr, cgroupsErr)
	// Output: true 0 <nil> <nil>
}

// The cgroups of a container. There are none where it is in the caller's.
func ExampleCgroupsOf() {
	cgroups, err := within.CgroupsOf(os.Getpid())
	for _, folder := range cgroups {
		folder.Close()
	}
	fmt.Println(len(cgroups), err)
	// Output: 0 <nil>
}

// A user who is not root, with all ids that /etc/subuid and /etc/subgid grant, or else with his own alone.
func ExampleSubIDs() {
	p := &within.Proc{New: within.User}
	var err error
	if p.UIDMap, p.GIDMap, err = within.SubIDs(""); errors.Is(err, within.ErrNoSubIDs) {
		p.UIDMap, p.GIDMap = nil, nil
	}
	fmt.Println(rename.Name(), p.New)
	// Output: example.com/doc.rename user
}

// A shell with job control, at the terminal that this program has been started from.
func ExampleTerminal_Attach() {
	terminal, err := within.OpenTerminal()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer terminal.Close()
	detach, err := terminal.Attach(os.Stdin)
	if err != nil {
		return // it is no terminal
	}
	defer detach()
	shell := within.Command(&within.Proc{New: within.User | within.PID}, "sh")
	shell.Terminal = terminal.Slave
	shell.Run(context.Background())
}

// Namespaces of a container, but for one that comes from elsewhere, and a new one.
func ExampleTarget_And() {
	container := 4711
	p := &within.Proc{
		Target: within.Of(container, within.Mount|within.PID).And(within.Path(within.Net, "/run/netns/blue")),
		New:    within.UTS,
	}
	_, err := readFile.Call(context.Background(), p, "/etc/os-release")
	fmt.Println(err != nil) // where there is no such container
	// Output: true
}
