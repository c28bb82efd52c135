// SPDX-License-Identifier: Apache-2.0

// Package parent starts programs that link nsenter: the side of the protocol that runc has in
// libcontainer.
//
//	caller ──fork──▶ launched process ──clone──▶ init process
//	  │  INITPIPE ◀──────── reply: its pid ───┘        │
//	  └──────────── a document, and whatever follows ──┘
//
// The launched process joins and creates the namespaces before its Go runtime boots. It clones the init
// process as its own sibling, so as a child of the caller, reports it and exits. Start does the parent's
// part meanwhile. It returns the init process as a handle, with the other end of INITPIPE.
//
// If a launch fails, the error says why: a *FatalError is the line with which the launched process ended,
// taken apart. No process, zombie, descriptor or goroutine is left then. (The package waits for the
// launched process, and those that it has reported, as long as SIGKILL takes, and for others a second.)
// The same is true if the context ends before Start has returned. If it ends later, the package kills the
// init process.
//
// The package waits only for its own processes. A caller that reaps every child it has, or ignores
// SIGCHLD, loses only exit statuses, which are unknown then.
//
// The package needs no cgo. It is for Linux, gc, and Go 1.22 or newer (docs/decisions/0012). On other systems it can be
// imported, and declares the same, but Start fails with an error in which errors.Is finds errors.ErrUnsupported.
package parent
