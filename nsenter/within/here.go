// SPDX-License-Identifier: Apache-2.0

//go:build go1.22

package within

import (
	"context"
	"runtime"
)

// Here is a Caller that runs functions in the calling process, in its namespaces, each on a thread of its own. It is
// for unit tests of functions and of what calls them: it needs no rights, no Init, and no TestMain. Arguments, results,
// errors and panics are encoded and decoded as if they were sent, with the limits of a Proc whose MaxMessage is 0. The
// context that a function gets has no values of the caller's, and its end is the only thing that ends a call before
// the function returns. As in a session, the function then goes on.
//
// A function that changes more than its thread, as os.Chdir and os.Exit do, does so to the calling process. A function
// that calls another one, with the context that it has been given, fails with ErrNested.
var Here Caller = here{}

type here struct{}

// isHere is the key of the value that contexts of functions in the calling process have.
type isHere struct{}

// isNested tells whether a call is made from inside of a function.
func isNested(ctx context.Context) bool { return isChild() || ctx.Value(isHere{}) != nil }

func (here) call(ctx context.Context, name string, argument message) (message, error) {
	const limit = defaultMaxMessage
	switch {
	case len(argument.body) > limit:
		argument.close()
		return message{}, errArgument(name, len(argument.body))
	case ctx.Err() != nil:
		argument.close()
		return message{}, context.Cause(ctx)
	}
	own := context.WithValue(context.Background(), isHere{}, true)
	var cancel context.CancelFunc
	if deadline, isSet := ctx.Deadline(); isSet {
		own, cancel = context.WithDeadline(own, deadline)
	} else {
		own, cancel = context.WithCancel(own)
	}
	answers := make(chan answer) // not one that nobody would close
	gone := make(chan struct{})
	defer close(gone)
	go func() {
		runtime.LockOSThread() // and not unlocked: whatever the function has done to its thread ends with that
		runFunction(own, name, argument, func(result message, err error) {
			cancel()
			result, err = sendableResult(name, result, err, limit)
			if err != nil {
				err = decodeError(encodeError(err, limit))
			}
			select {
			case answers <- answer{result, err}:
			case <-gone:
				result.close()
			}
		})
	}()
	select {
	case a := <-answers:
		return a.result, causeOf(ctx, a.err)
	case <-ctx.Done():
		cancel()
		return message{}, context.Cause(ctx)
	}
}
