// SPDX-License-Identifier: Apache-2.0

// Package remote opens sockets and files where functions of package within run, and returns them as ordinary ones of
// the calling process:
//
//	s, err := (&within.Proc{Target: within.Of(4711, within.Net)}).Start(ctx)
//	...
//	listener, err := remote.Listen(ctx, s, "tcp", "127.0.0.1:80") // in the container
//	http.Serve(listener, handler)                                // here
//
// A socket stays in the network namespace in which it was made, and an open file in its mount namespace, whoever has a
// descriptor of it. They outlive the process that has opened them.
//
// That process is not trusted: others may be root where it runs. It is checked that what it returns is of the kind that
// was asked for, and nothing else can be checked. One who has got hold of the process can return a socket of another
// namespace, one that is connected with somebody else, or another file; and can keep a descriptor of it, accept its
// connections, and read and change what is in it. So the caller has to trust it as far as the data that passes through.
// Errors are those of the functions, see within.RemoteError.
package remote
