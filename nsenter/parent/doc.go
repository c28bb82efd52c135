// SPDX-License-Identifier: Apache-2.0

// Package parent starts programs that link nsenter: the side of the protocol that runc has in
// libcontainer.
//
//	caller ──fork──▶ launched process ──clone──▶ init process
//	  │  INITPIPE ◀──────── reply: its pid ───┘        │
//	  └──────────── a document, and whatever follows ──┘
//
// The launched process joins and creates the namespaces before its Go runtime boots, clones the init
// process as its own sibling, so as a child of the caller, reports it and exits. Start does all that
// is to be done meanwhile, and returns the init process as a handle, with the other end of INITPIPE.
//
// When anything fails, the error says what: a *FatalError is the line with which the launched process
// ended, taken apart. Nothing is then left: no process, no zombie, no descriptor, no goroutine. (The launched process,
// and those that it has reported, are waited for however long SIGKILL takes, others for a second.) The same is true
// when the context ends before Start has returned; when it ends later, the init process is killed.
//
// Only pids of this package's own are ever waited for. A caller that reaps every child it has, or
// ignores SIGCHLD, loses exit statuses, which then are unknown, and nothing else.
//
// The package needs no cgo. It is for gc, and for Go 1.22 or newer (docs/decisions/0012).
package parent
