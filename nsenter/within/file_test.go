// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"nsenter-cpp.example/internal/kernel"
	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/nsenter/parent"
)

// folder has files in all places in which they can be.
type folder struct {
	Name  string
	One   File
	None  File
	List  []File
	Pair  *[2]File
	Outer *struct{ Inner File }
}

var (
	// greet writes to each file that it gets, and closes it.
	greet = Register("test.greet", func(_ context.Context, f folder) (int, error) {
		number := 0
		err := eachFile(reflect.ValueOf(&f).Elem(), func(f *File) error {
			if f.File == nil {
				return nil
			}
			number++
			_, err := fmt.Fprintf(f, "greeting %d", number)
			return errors.Join(err, f.Close())
		})
		return number, err
	})
	// returnFiles returns pipes in which something lies.
	returnFiles = Register("test.return-files", func(_ context.Context, n int) (folder, error) {
		var f folder
		for i := range n {
			file, err := pipeWith(fmt.Sprintf("result %d", i))
			if err != nil {
				return f, err
			}
			f.List = append(f.List, File{File: file})
		}
		return f, nil
	})
	returnLate = Register("test.return-late", func(ctx context.Context, _ struct{}) (File, error) {
		<-ctx.Done()
		time.Sleep(10 * time.Millisecond)
		file, err := pipeWith("late")
		return File{File: file}, err
	})
	returnWithError = Register("test.return-with-error", func(context.Context, struct{}) (File, error) {
		file, err := pipeWith("along")
		return File{File: file}, errors.Join(err, io.ErrUnexpectedEOF)
	})
	echoFile = Register("test.echo-file", func(_ context.Context, f File) (File, error) { return f, nil })
	// flagsOf are the flags of the descriptor that a file has here.
	returnRing = Register("test.return-ring", func(context.Context, struct{}) (File, error) {
		ring, err := openRing()
		return File{File: ring}, err
	})
	flagsOf = Register("test.flags-of", func(_ context.Context, f File) (int, error) {
		defer f.Close()
		return descriptorFlags(f.File)
	})
	panicWithFile = Register("test.panic-with-file", func(_ context.Context, f File) (File, error) {
		f.Close()
		panic("at the disco")
	})
	// openNumber is how many descriptors the process has.
	openNumber = Register("test.open-number", func(context.Context, struct{}) (int, error) {
		n := 0
		for fd := range 256 {
			if _, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil {
				n++
			}
		}
		return n, nil
	})
	largeWithFile = Register("test.large-with-file", func(_ context.Context, n int) (struct {
		Text []byte
		File File
	}, error) {
		file, err := pipeWith("large")
		return struct {
			Text []byte
			File File
		}{make([]byte, n), File{File: file}}, err
	})
)

func descriptorFlags(f *os.File) (int, error) {
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_GETFD, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(flags), nil
}

// pipeWith is the end of a pipe in which a text lies.
func pipeWith(text string) (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	_, err = write.WriteString(text)
	return read, err
}

// readWhole reads a file to its end, and closes it.
func readWhole(t *testing.T, f *os.File) string {
	t.Helper()
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

func TestFilesInArguments(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	for name, caller := range callers(t) {
		var ours []*os.File
		pipe := func() File {
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			ours = append(ours, read)
			t.Cleanup(func() { write.Close() })
			return File{File: write}
		}
		f := folder{Name: "x", One: pipe(), List: []File{pipe(), {}, pipe()}, Pair: &[2]File{{}, pipe()}}
		f.Outer = &struct{ Inner File }{pipe()}
		if n, err := greet.Call(deadline(t, short), caller, f); n != 5 || err != nil {
			t.Errorf("%s: %d files, %v", name, n, err)
		}
		eachFile(reflect.ValueOf(&f).Elem(), func(f *File) error {
			if f.File != nil {
				f.Close() // it is still ours
			}
			return nil
		})
		for i, read := range ours {
			if text := readWhole(t, read); text != fmt.Sprintf("greeting %d", i+1) {
				t.Errorf("%s: file %d: %q", name, i, text)
			}
		}
	}
}

func TestFilesInResults(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	for name, caller := range callers(t) {
		before := 0
		if name == "session" {
			before, _ = openNumber.Call(deadline(t, short), caller, struct{}{})
		}
		f, err := returnFiles.Call(deadline(t, short), caller, 3)
		if err != nil || len(f.List) != 3 || f.One.File != nil || f.Pair != nil {
			t.Fatalf("%s: %+v, %v", name, f, err)
		}
		for i, file := range f.List {
			if flags, err := descriptorFlags(file.File); err != nil || flags&syscall.FD_CLOEXEC == 0 {
				t.Errorf("%s: flags %#x (%v)", name, flags, err)
			}
			if text := readWhole(t, file.File); text != fmt.Sprintf("result %d", i) {
				t.Errorf("%s: file %d: %q", name, i, text)
			}
		}
		along, err := returnWithError.Call(deadline(t, short), caller, struct{}{})
		if !errors.Is(err, io.ErrUnexpectedEOF) || readWhole(t, along.File) != "along" {
			t.Errorf("%s: along with an error: %v", name, err)
		}
		file, err := pipeWith("back")
		if err != nil {
			t.Fatal(err)
		}
		if flags, err := flagsOf.Call(deadline(t, short), caller, File{File: file}); flags&syscall.FD_CLOEXEC == 0 {
			t.Errorf("%s: the function's descriptor has flags %#x (%v)", name, flags, err)
		}
		back, err := echoFile.Call(deadline(t, short), caller, File{File: file})
		if err != nil || readWhole(t, back.File) != "back" {
			t.Errorf("%s: there and back: %v", name, err)
		}
		file.Close()
		none, err := echoFile.Call(deadline(t, short), caller, File{})
		if err != nil || none.File != nil {
			t.Errorf("%s: no file: %v, %v", name, none, err)
		}
		if name != "session" {
			continue
		}
		// Files that are closed by others are closed in a while.
		for ctx := deadline(t, short); ; time.Sleep(time.Millisecond) {
			after, err := openNumber.Call(ctx, caller, struct{}{})
			if err == nil && after <= before {
				break
			}
			if err != nil {
				t.Errorf("%d descriptors are open inside, and %d before (%v)", after, before, err)
				break
			}
		}
	}
}

// TestFilesAreClosedWhateverFails: nothingLeft counts them.
func TestFilesAreClosedWhateverFails(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	many := folder{}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for range maxSentFiles + 1 {
		many.List = append(many.List, File{File: null})
	}
	for name, caller := range callers(t) {
		ctx := deadline(t, short)
		if _, err := greet.Call(ctx, caller, many); !errors.Is(err, ErrTooLarge) ||
			err.Error() != `within: the argument of "test.greet" has more than 64 files: within: too large` {
			t.Errorf("%s: many: %v", name, err)
		}
		if _, err := returnFiles.Call(ctx, caller, maxSentFiles+1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: many in the result: %v", name, err)
		}
		if f, err := returnFiles.Call(ctx, caller, maxSentFiles); err != nil || len(f.List) != maxSentFiles {
			t.Errorf("%s: 64 files: %v", name, err)
		} else {
			for _, file := range f.List {
				file.Close()
			}
		}
		if _, err := largeWithFile.Call(ctx, caller, 17<<20); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: a large result: %v", name, err)
		}
		if r, err := largeWithFile.Call(ctx, caller, 9<<20); err != nil || readWhole(t, r.File.File) != "large" {
			t.Errorf("%s: a result of many pieces: %v", name, err)
		}
		closed, _ := os.Open(os.DevNull)
		closed.Close()
		var encodeErr *EncodeError
		if _, err := echoFile.Call(ctx, caller, File{File: closed}); !errors.As(err, &encodeErr) {
			t.Errorf("%s: a closed file: %v", name, err)
		}
		var panicked *PanicError
		if _, err := panicWithFile.Call(ctx, caller, File{File: null}); !errors.As(err, &panicked) {
			t.Errorf("%s: a panic: %v", name, err)
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := echoFile.Call(ended, caller, File{File: null}); err != context.Canceled {
			t.Errorf("%s: a context that has ended: %v", name, err)
		}
		late, cancel := context.WithCancel(ctx)
		time.AfterFunc(20*time.Millisecond, cancel)
		if _, err := returnLate.Call(late, caller, struct{}{}); err != context.Canceled {
			t.Errorf("%s: a late result: %v", name, err)
		}
	}
	p := &Proc{New: User}
	s, err := p.Start(deadline(t, short))
	if err != nil {
		t.Fatal(err)
	}
	full := fill(t, s)
	brief, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := echoFile.Call(brief, s, File{File: null}); err != context.DeadlineExceeded {
		t.Errorf("a call that is withdrawn: %v", err)
	}
	waits := make(chan error, 1)
	go func() {
		_, err := echoFile.Call(deadline(t, short), s, File{File: null})
		waits <- err
	}()
	time.Sleep(20 * time.Millisecond)
	s.Kill()
	if err := <-waits; err != ErrKilled {
		t.Errorf("a call that waits to be sent: %v", err)
	}
	<-full
	if _, err := echoFile.Call(deadline(t, short), s, File{File: null}); err != ErrKilled {
		t.Errorf("a session that has been killed: %v", err)
	}
	nobody := &Proc{Target: Of(endedProcess(t), Net)}
	if _, err := echoFile.Call(deadline(t, short), nobody, File{File: null}); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("nobody: %v", err)
	}
}

// TestFilesThatNobodyAnnounced, or that do not come, end a session, and are closed.
func TestFilesThatNobodyAnnounced(t *testing.T) {
	nothingLeft(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	files := func(n int) (list []int) {
		for range n {
			list = append(list, int(null.Fd()))
		}
		return list
	}
	result := func(announced int) []byte { return frame{kind: frameResult, id: 1, files: files(announced)}.bytes() }
	for _, c := range []struct {
		name string
		send func(fd int)
		want string // "" is the end
	}{
		{"as announced", func(fd int) { sendAll(fd, result(2), files(2)) }, ""},
		{"fewer", func(fd int) { sendAll(fd, result(2), files(1)) }, errFiles.Error()},
		{"none", func(fd int) { sendAll(fd, result(2), nil) }, errFiles.Error()},
		{"more", func(fd int) { sendAll(fd, result(2), files(3)) }, errFiles.Error()},
		{"not announced", func(fd int) { sendAll(fd, result(0), files(1)) }, errFiles.Error()},
		{"too many", func(fd int) { sendAll(fd, result(200), files(200)) }, errFiles.Error()},
		{"with an error", func(fd int) {
			sendAll(fd, frame{kind: frameError, id: 1, files: files(1)}.bytes(), files(1))
		}, errFiles.Error()},
		{"with a failure", func(fd int) {
			sendAll(fd, frame{kind: frameFailure, files: files(1)}.bytes(), files(1))
		}, errFiles.Error()},
		{"with each byte", func(fd int) {
			for _, b := range result(2) {
				sendAll(fd, []byte{b}, files(2))
			}
		}, errFiles.Error()},
		{"without the rest", func(fd int) { sendAll(fd, result(2)[:20], files(2)) }, ""},
		{"in two frames at once", func(fd int) { sendAll(fd, append(result(1), result(1)...), files(2)) }, errFiles.Error()},
		{"a large frame", func(fd int) {
			sendAll(fd, frame{kind: frameResult, id: 1, files: files(1), body: make([]byte, 5000)}.bytes(), files(1))
		}, "within: a result of 5000 bytes: within: too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			nothingLeft(t)
			ours, theirs, err := requestSocket()
			if err != nil {
				t.Fatal(err)
			}
			defer ours.Close()
			control := make([]byte, controlSize)
			frames := newFrameReader(func(take func(files []int)) io.Reader {
				return readerFunc(func(b []byte) (int, error) {
					n, err := receive(int(ours.Fd()), b, control, take)
					if n == 0 && err == nil {
						err = io.EOF
					}
					return n, err
				})
			})
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				defer theirs.Close()
				c.send(int(theirs.Fd()))
			}()
			defer func() { <-sent }()
			s := &Session{running: &running{process: &parent.Init{Conn: ours}, frames: frames}, limit: 100}
			err = s.readAnswers()
			if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && got != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// filesOnly answers with descriptors that its value does not have, or has too few of.
type filesOnly struct {
	body   []byte
	number int
}

func (f filesOnly) call(context.Context, string, message) (message, error) {
	m := message{body: f.body}
	for range f.number {
		fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return m, err
		}
		m.files = append(m.files, fd)
	}
	return m, nil
}

func TestFilesThatAValueDoesNotHave(t *testing.T) {
	nothingLeft(t)
	ctx := context.Background()
	two, err := encode("result", "", folder{List: []File{{File: os.Stdin}, {File: os.Stdin}}})
	if err != nil {
		t.Fatal(err)
	}
	for number, want := range map[int]string{
		0: "it has more files than were sent", 1: "it has more files than were sent",
		3: "it has fewer files than were sent",
	} {
		f, err := returnFiles.Call(ctx, filesOnly{two, number}, 0)
		if err == nil || !strings.HasSuffix(err.Error(), want) || f.List != nil {
			t.Errorf("%d files: %+v, %v, want %s", number, f, err, want)
		}
	}
	text, err := encode("result", "", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := thread.Call(ctx, filesOnly{text, 1}, struct{}{}); err == nil {
		t.Error("a number has files")
	}
	if _, err := thread.Call(ctx, filesOnly{[]byte("x"), 1}, struct{}{}); err == nil {
		t.Error("what cannot be decoded has files")
	}
	if _, err := deepness.Call(ctx, filesOnly{make([]byte, recursiveSize+1), 1}, struct{}{}); err == nil {
		t.Error("what is too large has files")
	}
}

type fileTree struct {
	File File
	Next *fileTree
}

func TestWhereFilesCannotBe(t *testing.T) {
	for want, kind := range map[string]reflect.Type{
		"map[string]within.File is a map with files": reflect.TypeFor[[]map[string]File](),
		"map[within.File]int is a map with files":    reflect.TypeFor[struct{ M map[File]int }](),
		"within.fileTree contains itself, and files": reflect.TypeFor[fileTree](),
	} {
		if _, err := hasFiles(kind); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if err := checkNoFiles(kind); err == nil {
			t.Errorf("%v can be an error", kind)
		}
	}
	if has, err := hasFiles(reflect.TypeFor[everything]()); has || err != nil {
		t.Errorf("%v, %v", has, err)
	}
	want := "within.folder has files, which do not go with errors"
	if err := checkNoFiles(reflect.TypeFor[folder]()); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestTooManyFilesInFlight: the kernel has a limit for users who are not root. It is an error of the one call.
func TestTooManyFilesInFlight(t *testing.T) {
	requireRoot(t) // to be somebody else
	requireUserNamespaces(t)
	if output := runRole(t, 1000, "in-flight"); !strings.HasSuffix(output, "right\n") {
		t.Error(output)
	}
}

func init() {
	roles["in-flight"] = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*short)
		defer cancel()
		s, err := (&Proc{New: User}).Start(ctx)
		if err != nil {
			return err
		}
		defer s.Close()
		ours, theirs, err := requestSocket()
		if err != nil {
			return err
		}
		null, err := os.Open(os.DevNull)
		if err != nil {
			return err
		}
		limit := syscall.Rlimit{Cur: 100, Max: 100}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		var files []int
		for range 90 {
			files = append(files, int(null.Fd()))
		}
		for range 2 {
			if err := sendAll(int(theirs.Fd()), []byte{0}, files); err != nil {
				return err
			}
		}
		if _, err := echoFile.Call(ctx, s, File{File: null}); !errors.Is(err, syscall.ETOOMANYREFS) {
			return fmt.Errorf("with many files in flight: %w", err)
		}
		if _, err := thread.Call(ctx, s, struct{}{}); err != nil {
			return fmt.Errorf("a call without files: %w", err)
		}
		ours.Close()
		theirs.Close() // the kernel closes those in flight
		f, err := echoFile.Call(ctx, s, File{File: null})
		if err != nil {
			return fmt.Errorf("afterwards: %w", err)
		}
		f.Close()
		fmt.Println("right")
		return nil
	}
}

// TestFilesAreNotBound: a function before a program gets no files, and the error says so.
func TestFilesAreNotBound(t *testing.T) {
	nothingLeft(t)
	file, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := Command(&Proc{}, "true")
	cmd.Before = greet.Bind(folder{One: File{File: file}})
	var encode *EncodeError
	err = cmd.Start(deadline(t, short))
	if !errors.As(err, &encode) || !strings.Contains(err.Error(), "files cannot be bound") {
		t.Errorf("got %v", err)
	}
	cmd = Command(&Proc{}, "true")
	cmd.Before = greet.Bind(folder{Name: "none"})
	if err := cmd.Run(deadline(t, short)); err != nil {
		t.Errorf("without files: %v", err)
	}
}

// openRing makes a file of io_uring, which the kernel does not send since Linux 6.7.
func openRing() (*os.File, error) {
	const ioUringSetup = 425
	var parameters [120]byte
	fd, _, errno := syscall.Syscall(kernel.Call(ioUringSetup), 1, uintptr(unsafe.Pointer(&parameters)), 0)
	if errno != 0 {
		return nil, errno
	}
	syscall.CloseOnExec(int(fd))
	return os.NewFile(fd, "ring"), nil
}

// TestFilesThatAreNotSent: a call with one fails, and no other one is lost.
func TestFilesThatAreNotSent(t *testing.T) {
	requireRoot(t)
	ring, err := openRing()
	testutil.Require(t, err == nil, "io_uring")
	defer ring.Close()
	ctx := deadline(t, short)
	s, err := (&Proc{New: UTS}).Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := flagsOf.Call(ctx, s, File{File: ring}); err != nil && !errors.Is(err, syscall.EINVAL) {
		t.Errorf("as an argument: %v", err)
	}
	got, err := returnRing.Call(ctx, s, struct{}{})
	if err != nil && !errors.Is(err, syscall.EINVAL) {
		t.Errorf("as a result: %v", err)
	}
	if got.File != nil {
		got.File.Close()
	}
	if n, err := openNumber.Call(ctx, s, struct{}{}); err != nil {
		t.Errorf("the session after that: %d, %v", n, err)
	}
}
