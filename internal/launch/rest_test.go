// SPDX-License-Identifier: Apache-2.0

//go:build linux

package launch

import (
	"bytes"
	"errors"
	"io"
	"io/ioutil"
	"os"
	"testing"
	"time"
)

func openPipe(t *testing.T) (read, write *os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		read.Close()
		write.Close()
	})
	return read, write
}

// TestWhatLiesThereIsReadAfterTheDeadline: all of it, and nothing that comes later.
func TestWhatLiesThereIsReadAfterTheDeadline(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789"), 3000)
	for _, c := range []struct {
		what    string
		isEnded bool // nobody has the other end any more
		goesOn  bool // somebody writes whenever there is room
	}{
		{"ended", true, false},
		{"somebody holds the other end", false, false},
		{"somebody goes on writing", false, true},
	} {
		read, write := openPipe(t)
		write.Write(text)
		if c.isEnded {
			write.Close()
		}
		read.SetReadDeadline(time.Unix(1, 0))
		r := NewReader(read)
		var got []byte
		var err error
		for err == nil {
			var n int
			next := make([]byte, 1000)
			n, err = r.Read(next)
			got = append(got, next[:n]...)
			if c.goesOn {
				write.Write(next)
			}
		}
		want := os.ErrDeadlineExceeded
		if c.isEnded {
			want = io.EOF
		}
		if !bytes.Equal(got, text) || !errors.Is(err, want) || r.IsCut() == c.isEnded {
			t.Errorf("%s: got %d bytes, %v", c.what, len(got), err)
		}
	}
}

// TestReadingIsAsEverBeforeTheDeadline.
func TestReadingIsAsEverBeforeTheDeadline(t *testing.T) {
	read, write := openPipe(t)
	time.AfterFunc(10*time.Millisecond, func() {
		write.Write([]byte("text"))
		write.Close()
	})
	r := NewReader(read)
	if got, err := ioutil.ReadAll(r); string(got) != "text" || err != nil || r.IsCut() {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestLinesThatLieThereAreTaken: also if the reader is late.
func TestLinesThatLieThereAreTaken(t *testing.T) {
	read, write := openPipe(t)
	taken, goOn := make(chan string, 2), make(chan struct{})
	l := ReadLog(read, nil, func(line []byte) {
		taken <- string(line)
		<-goOn
	})
	write.Write([]byte("first\n"))
	<-taken
	write.Write([]byte("second\n"))
	time.AfterFunc(50*time.Millisecond, func() { close(goOn) })
	l.wait(0)
	close(taken)
	if got := <-taken; got != "second\n" {
		t.Errorf("got %q after the first line", got)
	}
}
