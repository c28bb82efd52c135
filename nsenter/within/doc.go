// SPDX-License-Identifier: Apache-2.0

// Package within runs Go functions, and programs, in any Linux namespaces: those of a container, of
// another process, or new ones.
//
//	var hostname = within.Register("example.com/app.hostname",
//		func(context.Context, struct{}) (string, error) { return os.Hostname() })
//
//	func main() {
//		within.Init() // in the child: runs the function and exits
//		p := &within.Proc{Target: within.Of(4711, within.All)}
//		name, err := hostname.Call(context.Background(), p, struct{}{})
//		...
//	}
//
// A Go program has threads, so it cannot join a user, pid or mount namespace itself. A call therefore
// starts the program once more; before its Go runtime boots, the package nsenter puts it where it is
// to be; there, Init runs the function and sends back what it returns:
//
//	caller                          launched process          function's process
//	  │ Call ──/proc/self/exe──────────▶ │                            │
//	  │      namespaces, as descriptors  │ joins, creates, clones ──▶ │
//	  │                                 exit                          │ package initialisation
//	  │ ── name, argument ──────────────────────────────────────────▶ │ main: Init: the function
//	  │ ◀──────────────────────────────────────── result or error ─── │
//	  │                                                              exit
//
// # What runs before Init
//
// The child is the whole program: the initialisation of every package that it has, and what main does
// before Init, runs once more, in the target's namespaces, so with the target's files and as its root.
// Packages that read configuration, open logs or resolve names when they are initialised do that there.
// Init is to be the first statement of main, and of TestMain. A call in a program that has not called
// it is refused with ErrNoInit, before a process is started.
//
// # Which API
//
//	one function, now and then        Func.Call with a *Proc: a process for each call
//	many calls into one container     Proc.Start, Func.Call with the *Session: 100 µs and less each
//	and into many                     Pool: a session for each
//	a program instead of a function   Command
//	the init process of a container   package parent: the protocol, for runtimes
//	the message alone                 package bootstrap
//
// docs/within.md tells what the ways that there were before cannot do, one by one.
//
// # What holds
//
// The child is this program, whatever lies at its path by now. In another pid or mount namespace than the
// caller's it is guarded, and so is a program of the caller's: nothing inside can write to it (CVE-2019-5736). For a
// caller with CAP_SYS_ADMIN that is a read-only mount (Linux 5.12), which costs nothing, and otherwise a sealed copy in
// memory. /proc/self/exe is no path of it there.
//
// Of a joined mount namespace no code is loaded: Init makes the C library, where that is glibc, look up
// names in files only, which from 2.34 on takes no library, and Go's net package resolve names itself
// (CVE-2019-14271). With an older glibc, or linked statically against one, build with the tags
// osusergo and netgo.
//
// A function's process has the environment, standard streams and files that Proc gives it, and cwd in
// the root of its mount namespace. In a joined user namespace it has none of the caller's groups, if groups can be set
// there at all. When it is pid 1 of a pid namespace, it reaps orphans, and nothing that a function has started: that
// can be waited for, in a later call too. It ends, with all that is in its process group, when the caller ends, in
// whatever way, even if it is stopped (but not, while it is, if the function has changed its user; and not before it is
// thawed, if it is frozen). A Cmd's program does not, unless Cmd.DieWithCaller says so.
//
// Where a call has returned because its context has ended, its function is not begun later, however long the
// process of a session stands still, if the context had a deadline or the call was not sent yet. Otherwise it
// is begun, and cancelled.
//
// Its results are not trusted: it was in a place where others are root. They are decoded with limits, and without
// panics. A File among them can be any file.
//
// A call joins and creates what Proc says; all other namespaces are those of the thread that calls. A
// goroutine that is locked to a thread in another network namespace calls from there.
//
// A function cannot call another one: ErrNested.
//
// # Requirements
//
// Linux, cgo, a C++20 compiler, gc, and Go 1.22 or newer. On other systems, without cgo, and with another compiler this
// package can be imported, and declares the same. But all that needs namespaces fails with an error in which errors.Is
// finds errors.ErrUnsupported. Init returns at once; Register checks what it checks here; Here runs functions, which
// can have no File. A program that is not to be built so imports package nsenter too, which refuses that. With an older
// Go this package is empty.
package within
