// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The keeper of sessions prints how many threads it has: with that many sessions, when a quarter of them have stopped
// and do not read what is sent to them, and after Close.
func init() {
	roles["keeper-of-sessions"] = func() error {
		many, err := strconv.Atoi(os.Args[1])
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*short)
		defer cancel()
		var sessions []*Session
		for range many {
			s, err := (&Proc{New: User}).Start(ctx)
			if err != nil {
				return err
			}
			sessions = append(sessions, s)
		}
		countThreads()
		var calls sync.WaitGroup
		for _, s := range sessions[:many/4] {
			syscall.Kill(s.Pid(), syscall.SIGSTOP)
			calls.Add(1)
			go func() {
				defer calls.Done()
				take.Call(ctx, s, make([]byte, 1<<20))
			}()
		}
		for _, s := range sessions[:many/4] {
			for end := time.Now().Add(short); !isWriting(s) && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
		}
		countThreads()
		for _, s := range sessions {
			syscall.Kill(s.Pid(), syscall.SIGCONT)
			if err := s.Close(); err != nil {
				return err
			}
		}
		calls.Wait()
		countThreads()
		return nil
	}
}

func countThreads() {
	list, _ := os.ReadDir("/proc/self/task")
	fmt.Println(len(list))
}

// TestNoThreadPerSession: at its limit of threads the Go runtime ends the program.
func TestNoThreadPerSession(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	many, most := 200, 20
	if testing.Short() {
		many = 40
	}
	var begin, writing, end int
	output := runRole(t, 0, "keeper-of-sessions", strconv.Itoa(many))
	if _, err := fmt.Sscan(output, &begin, &writing, &end); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	t.Logf("%d sessions: %d threads, %d when a quarter has stopped, %d after Close", many, begin, writing, end)
	if begin > most || writing > most || end > most {
		t.Errorf("%d sessions: %d threads, %d when a quarter has stopped, %d after Close", many, begin, writing, end)
	}
}
