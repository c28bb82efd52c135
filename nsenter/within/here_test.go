// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

type contextKey string

var (
	nestedHere = Register("test.nested-here", func(ctx context.Context, how string) (int, error) {
		switch how {
		case "proc":
			return thread.Call(ctx, &Proc{New: User}, struct{}{})
		case "command":
			return 0, Command(&Proc{New: User}, "true").Run(ctx)
		}
		return thread.Call(ctx, Here, struct{}{})
	})
	valueOf = Register("test.value-of", func(ctx context.Context, key string) (string, error) {
		return fmt.Sprint(ctx.Value(contextKey(key))), nil
	})
	unsharedThread = Register("test.unshared-thread", func(context.Context, struct{}) (int, error) {
		return syscall.Gettid(), syscall.Unshare(syscall.CLONE_FS)
	})
	cannotBeSent = Register("test.cannot-be-sent", func(_ context.Context, n int) ([]*int, error) {
		return make([]*int, n), nil // gob takes no nil in a slice
	})
)

// TestHereIsAsFarAway as another process: what cannot be sent does not arrive, and what arrives is a copy.
func TestHereIsAsFarAway(t *testing.T) {
	nothingLeft(t)
	ctx := deadline(t, short)
	sent := everything{Bytes: []byte("before")}
	got, err := echo.Call(ctx, Here, sent)
	if err != nil || string(got.Bytes) != "before" {
		t.Fatal(got, err)
	}
	got.Bytes[0] = 'x'
	if string(sent.Bytes) != "before" {
		t.Error("the result is not a copy of the argument")
	}
	var tooLarge = make([]byte, 16<<20+1)
	if _, err := take.Call(ctx, Here, tooLarge); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large argument: %v", err)
	}
	if _, err := size.Call(ctx, Here, len(tooLarge)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large result: %v", err)
	}
	if _, err := cannotBeSent.Call(ctx, Here, 1); err == nil || !strings.Contains(err.Error(), "cannot be encoded") {
		t.Errorf("a result that cannot be encoded: %v", err)
	}
	var panicked *PanicError
	if _, err := fail.Call(ctx, Here, "panic"); !errors.As(err, &panicked) || panicked.Value != "at the disco" ||
		!strings.Contains(panicked.Stack, "failAs") {
		t.Errorf("a panic: %v", err)
	}
	if _, err := fail.Call(ctx, Here, "goexit"); err == nil || err.Error() !=
		`within: "test.fail" has ended its goroutine` {
		t.Errorf("Goexit: %v", err)
	}
	var remote *RemoteError
	if _, err := failKnown.Call(ctx, Here, "not registered"); !errors.As(err, &remote) || errors.Is(err, errAlone) {
		t.Errorf("an error that is not registered: %v", err)
	}
	if value, err := valueOf.Call(context.WithValue(ctx, contextKey("key"), "value"), Here, "key"); value != "<nil>" {
		t.Errorf("a value of the caller's context arrives: %q (%v)", value, err)
	}
	for _, how := range []string{"proc", "command", "here"} {
		if _, err := nestedHere.Call(ctx, Here, how); !errors.Is(err, ErrNested) {
			t.Errorf("a call from inside of a function, %s: %v", how, err)
		}
	}
}

func TestCancellationHere(t *testing.T) {
	nothingLeft(t)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(deadline(t, short))
	time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
	if _, err := hold.Call(ctx, Here, struct{}{}); err != cause {
		t.Errorf("got %v", err)
	}
	if _, err := thread.Call(ctx, Here, struct{}{}); err != cause {
		t.Errorf("afterwards: %v", err)
	}
	brief, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	if _, err := hold.Call(brief, Here, struct{}{}); err != context.DeadlineExceeded {
		t.Errorf("a deadline: %v", err)
	}
}

// TestThreadsHere are not used again, since a function may have changed them.
func TestThreadsHere(t *testing.T) {
	nothingLeft(t)
	id, err := unsharedThread.Call(deadline(t, short), Here, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 { // until the thread has ended
		if syscall.Tgkill(syscall.Getpid(), id, 0) == syscall.ESRCH {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("the function's thread goes on")
}
