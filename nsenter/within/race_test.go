// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22 && race

package within

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNoCallSleepsAtItsEnd: a program with -race does so for a second when it exits, if GORACE says nothing else.
func TestNoCallSleepsAtItsEnd(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	for _, c := range []struct{ callers, of, want string }{
		{"", "", ""},
		{"history_size=2", "", "GORACE=history_size=2"},
		{"atexit_sleep_ms=3", "", "GORACE=atexit_sleep_ms=3"},
		{"", "GORACE=halt_on_error=1", "GORACE=halt_on_error=1"},
		{"", "A=1", ""},
	} {
		t.Setenv("GORACE", c.callers)
		if c.callers == "" {
			os.Unsetenv("GORACE")
		}
		p := &Proc{New: User}
		if c.of != "" {
			p.Env = []string{c.of}
		}
		best := time.Hour
		for range 5 {
			start := time.Now()
			v, err := look.Call(deadline(t, short), p, struct{}{})
			best = min(best, time.Since(start))
			got := ""
			if i := slices.IndexFunc(v.Env, func(s string) bool { return strings.HasPrefix(s, "GORACE=") }); i >= 0 {
				got = v.Env[i]
			}
			if err != nil || got != c.want {
				t.Errorf("%+v: the function has %q (%v)", c, got, err)
			}
			if best < time.Second {
				break
			}
		}
		if best >= time.Second {
			t.Errorf("%+v: a call takes %v", c, best)
		}
	}
}
