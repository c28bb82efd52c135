// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/nsenter/within"
)

func TestMain(m *testing.M) {
	within.Init()
	m.Run()
}

const short = 20 * time.Second

var (
	// raiseLoopback has the loopback interface work, which it does not in a new network namespace.
	raiseLoopback = within.Register("test.raise-loopback", func(context.Context, struct{}) (struct{}, error) {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			return struct{}{}, err
		}
		defer syscall.Close(fd)
		request := struct {
			name  [16]byte
			flags int16
			_     [22]byte
		}{flags: syscall.IFF_UP}
		copy(request.name[:], "lo")
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS,
			uintptr(unsafe.Pointer(&request)))
		if errno != 0 {
			return struct{}{}, errno
		}
		return struct{}{}, nil
	})
	// wrongFile and wrongOpening return a file of the kind that is asked for as an address or a path.
	wrongFile = within.Register("test.wrong-file", func(_ context.Context, at place) (within.File, error) {
		f, err := makeFile(at.Address)
		return within.File{File: f}, err
	})
	wrongOpening = within.Register("test.wrong-opening", func(_ context.Context, o opening) (within.File, error) {
		f, err := makeFile(o.Path)
		return within.File{File: f}, err
	})
	makeFIFO = within.Register("test.make-fifo", func(_ context.Context, path string) (struct{}, error) {
		return struct{}{}, syscall.Mkfifo(path, 0o600)
	})
)

// makeFile makes a file of a kind.
func makeFile(kind string) (*os.File, error) {
	socket := func(domain, kind, protocol int) (*os.File, error) {
		fd, err := syscall.Socket(domain, kind|syscall.SOCK_CLOEXEC, protocol)
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), "socket"), nil
	}
	switch kind {
	case "none":
		return nil, nil
	case "null":
		return os.Open(os.DevNull)
	case "folder":
		return os.Open("/")
	case "pipe":
		read, write, err := os.Pipe()
		if err == nil {
			write.Close()
		}
		return read, err
	case "path":
		const oPath = 0x200000
		return os.OpenFile("/proc/version", oPath, 0)
	case "read-only":
		return os.Open("/proc/version")
	case "tcp":
		return socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	case "udp":
		return socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	case "unix":
		return socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	case "netlink":
		return socket(syscall.AF_NETLINK, syscall.SOCK_RAW, 0)
	case "listener":
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		f, err := fileOf(l)
		return f.File, err
	}
	return nil, fmt.Errorf("no kind %q", kind)
}

// session is one in a new network namespace.
func session(t *testing.T, kinds within.Namespaces) *within.Session {
	t.Helper()
	s, err := (&within.Proc{New: within.User | within.Net | kinds}).Start(testutil.Deadline(t, 3*short))
	testutil.Require(t, !errors.Is(err, syscall.EPERM), "user namespaces")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if _, err := raiseLoopback.Call(testutil.Deadline(t, short), s, struct{}{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestConnections of all kinds are made in another network namespace, and used here.
func TestConnections(t *testing.T) {
	testutil.NothingLeft(t)
	s := session(t, 0)
	folder := t.TempDir()
	for name, caller := range map[string]within.Caller{"session": s, "here": within.Here} {
		for _, c := range []struct{ network, address string }{
			{"tcp", "127.0.0.1:0"},
			{"tcp4", "127.0.0.1:0"},
			{"tcp", "[::1]:0"},
			{"tcp6", "[::1]:0"},
			{"unix", "@nsenter-test-" + name},
			{"unix", filepath.Join(folder, name)},
			{"unixpacket", filepath.Join(folder, name+".seq")},
		} {
			ctx := testutil.Deadline(t, short)
			listener, err := Listen(ctx, caller, c.network, c.address)
			if err != nil && strings.Contains(c.address, "::1") && (errors.Is(err, syscall.EADDRNOTAVAIL) ||
				errors.Is(err, syscall.EAFNOSUPPORT)) {
				t.Logf("%s: no IPv6 here", name)
				continue
			}
			if err != nil {
				t.Errorf("%s: %v: %v", name, c, err)
				continue
			}
			greet := make(chan error, 1)
			go func() {
				conn, err := listener.Accept()
				if err == nil {
					_, err = conn.Write([]byte("greetings"))
					conn.Close()
				}
				greet <- err
			}()
			conn, err := Dial(ctx, caller, c.network, listener.Addr().String())
			if err != nil {
				t.Errorf("%s: %v: dial: %v", name, c, err)
			} else {
				conn.SetDeadline(time.Now().Add(short))
				text := make([]byte, 100)
				if n, err := conn.Read(text); string(text[:n]) != "greetings" {
					t.Errorf("%s: %v: %q, %v", name, c, text[:n], err)
				}
				conn.Close()
				if err := <-greet; err != nil {
					t.Errorf("%s: %v: accept: %v", name, c, err)
				}
			}
			// It is not there in this namespace.
			if name == "session" && strings.HasPrefix(c.address, "@") {
				if conn, err := net.Dial(c.network, c.address); err == nil {
					t.Error("the listener is in the caller's network namespace")
					conn.Close()
				}
			}
			listener.Close()
		}
		conn, err := Dial(testutil.Deadline(t, short), caller, "udp", "127.0.0.1:9") // nobody has to be there
		if err != nil {
			t.Errorf("%s: udp: %v", name, err)
			continue
		}
		conn.Close()
	}
}

// TestTheListenerOutlivesItsProcess: it is the caller's.
func TestTheListenerOutlivesItsProcess(t *testing.T) {
	testutil.NothingLeft(t)
	s := session(t, 0)
	listener, err := Listen(testutil.Deadline(t, short), s, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s.Close()
	listener.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := listener.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestErrorsOfConnections(t *testing.T) {
	testutil.NothingLeft(t)
	ctx := testutil.Deadline(t, short)
	var unknown net.UnknownNetworkError
	for _, network := range []string{"", "udp", "unixgram", "ip4:icmp"} {
		if _, err := Listen(ctx, within.Here, network, "127.0.0.1:0"); !errors.As(err, &unknown) {
			t.Errorf("listen: %q: %v", network, err)
		}
	}
	if _, err := Dial(ctx, within.Here, "ip4:icmp", "127.0.0.1"); !errors.As(err, &unknown) {
		t.Errorf("dial: %v", err)
	}
	path := filepath.Join(t.TempDir(), "none")
	if _, err := Dial(ctx, within.Here, "unix", path); !errors.Is(err, syscall.ENOENT) ||
		err.Error() != "dial unix "+path+": connect: no such file or directory" {
		t.Errorf("nobody: %v", err)
	}
	if _, err := Listen(ctx, within.Here, "unix", path+"/none"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("no folder: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Listen(ended, within.Here, "tcp", "127.0.0.1:0"); err != context.Canceled {
		t.Errorf("a context that has ended: %v", err)
	}
}

// TestOtherKindsAreRefused: the process may return what it wants.
func TestOtherKindsAreRefused(t *testing.T) {
	testutil.NothingLeft(t)
	ownListen, ownDial, ownOpen := listen, dial, open
	defer func() { listen, dial, open = ownListen, ownDial, ownOpen }()
	listen, dial, open = wrongFile, wrongFile, wrongOpening
	ctx := testutil.Deadline(t, short)
	for _, kind := range []string{"none", "null", "folder", "pipe", "path", "tcp", "udp", "unix", "netlink"} {
		if l, err := Listen(ctx, within.Here, "tcp", kind); !errors.Is(err, ErrKind) {
			t.Errorf("listen: %s: %v, %v", kind, l, err)
		}
		if kind == "path" || kind == "null" {
			kind = "listener"
		}
		if c, err := Dial(ctx, within.Here, "tcp", kind); !errors.Is(err, ErrKind) {
			t.Errorf("dial: %s: %v, %v", kind, c, err)
		}
	}
	if l, err := Listen(ctx, within.Here, "tcp6", "listener"); !errors.Is(err, ErrKind) {
		t.Errorf("listen: another family: %v, %v", l, err)
	}
	for _, kind := range []string{"none", "null", "folder", "pipe", "path", "tcp"} {
		if f, err := Open(ctx, within.Here, kind, os.O_RDONLY, 0); !errors.Is(err, ErrKind) {
			t.Errorf("open: %s: %v, %v", kind, f, err)
		}
	}
	if f, err := Open(ctx, within.Here, "read-only", os.O_RDWR, 0); !errors.Is(err, ErrKind) {
		t.Errorf("open: read-only: %v, %v", f, err)
	}
}

func TestOpen(t *testing.T) {
	testutil.NothingLeft(t)
	s := session(t, within.Mount)
	folder := t.TempDir()
	for name, caller := range map[string]within.Caller{"session": s, "here": within.Here} {
		ctx := testutil.Deadline(t, short)
		path := filepath.Join(folder, name)
		f, err := Open(ctx, caller, path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o640)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("some text"); err != nil || f.Name() != path {
			t.Errorf("%s: %s: %v", name, f.Name(), err)
		}
		f.Close()
		f, err = Open(ctx, caller, path, os.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(f); string(text) != "some text" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if _, err := f.WriteString("x"); !errors.Is(err, syscall.EBADF) {
			t.Errorf("%s: writing what is read-only: %v", name, err)
		}
		f.Close()

		fifo := filepath.Join(folder, name+".fifo")
		if _, err := makeFIFO.Call(ctx, caller, fifo); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(folder, name+".link")
		if err := os.Symlink(os.DevNull, link); err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{fifo, folder, os.DevNull, link} {
			for _, flag := range []int{os.O_RDONLY, os.O_WRONLY} { // without a look before, this is ENXIO, or EISDIR
				_, err := Open(ctx, caller, other, flag, 0)
				if !errors.Is(err, ErrNotRegular) || err.Error() != "open "+other+": not a regular file" {
					t.Errorf("%s: %s: %v", name, other, err)
				}
			}
		}
		var pathErr *fs.PathError
		if _, err := Open(ctx, caller, path+".none", os.O_RDWR, 0); !errors.Is(err, fs.ErrNotExist) ||
			!errors.As(err, &pathErr) {
			t.Errorf("%s: no file: %v", name, err)
		}
		for _, c := range []struct {
			flag int
			perm fs.FileMode
		}{{syscall.O_NONBLOCK, 0}, {syscall.O_DIRECTORY, 0}, {os.O_RDONLY, fs.ModeSetuid}} {
			if _, err := Open(ctx, caller, path, c.flag, c.perm); !errors.Is(err, syscall.EINVAL) {
				t.Errorf("%s: flags %#x, %v: %v", name, c.flag, c.perm, err)
			}
		}
	}
}
