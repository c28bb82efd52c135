// SPDX-License-Identifier: Apache-2.0

//go:build go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

type answer struct {
	result message
	err    error
}

// sendableResult is what can be sent of that which a function has returned.
func sendableResult(name string, result message, err error, limit int) (message, error) {
	if len(result.body) > limit {
		result.close()
		if err == nil {
			err = errResult(name, len(result.body))
		}
		result = message{}
	}
	return result, err
}

// runFunction runs a function and answers, whichever way the function comes to its end.
func runFunction(ctx context.Context, name string, argument message, answer func(result message, err error)) {
	f, found := functions.find(name)
	if !found {
		argument.close()
		answer(message{}, fmt.Errorf("%w: %q", ErrNotRegistered, name))
		return
	}
	var result message
	err := fmt.Errorf("within: %q has ended its goroutine", name) // runtime.Goexit
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: fmt.Sprint(p), Stack: string(debug.Stack())}
		}
		answer(result, err)
	}()
	result, err = f.run(ctx, argument)
}

// causeOf is the error of a call: the context's where the process says that time is over. Their clocks are the same, so
// it can be the first to notice, and then the context is about to.
func causeOf(ctx context.Context, err error) error {
	deadline, isSet := ctx.Deadline()
	if !errors.Is(err, context.DeadlineExceeded) || !isSet || time.Now().Before(deadline) {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Second): // one that does not do what it says
		return err
	}
}

func errArgument(name string, size int) error {
	return fmt.Errorf("within: the argument of %q has %d bytes: %w", name, size, ErrTooLarge)
}

func errResult(name string, size int) error {
	return fmt.Errorf("within: the result of %q has %d bytes: %w", name, size, ErrTooLarge)
}
