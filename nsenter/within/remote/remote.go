// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package remote

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"nsenter-cpp.example/nsenter/within"
)

// place is where to listen, or what to connect to.
type place struct{ Network, Address string }

var listen = within.Register("nsenter-cpp.example/nsenter/within/remote.listen",
	func(ctx context.Context, at place) (within.File, error) {
		var config net.ListenConfig
		listener, err := config.Listen(ctx, at.Network, at.Address)
		if err != nil {
			return within.File{}, err
		}
		if unix, is := listener.(*net.UnixListener); is {
			unix.SetUnlinkOnClose(false)
		}
		return fileOf(listener)
	})

var dial = within.Register("nsenter-cpp.example/nsenter/within/remote.dial",
	func(ctx context.Context, to place) (within.File, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, to.Network, to.Address)
		if err != nil {
			return within.File{}, err
		}
		return fileOf(conn)
	})

// fileOf is a descriptor of a socket, which it closes.
func fileOf(socket interface{ Close() error }) (within.File, error) {
	defer socket.Close()
	withFile, is := socket.(interface{ File() (*os.File, error) })
	if !is {
		return within.File{}, fmt.Errorf("remote: a %T has no file", socket)
	}
	f, err := withFile.File()
	return within.File{File: f}, err
}

// Listen listens where functions of c run. The networks are "tcp", "tcp4", "tcp6", "unix" and "unixpacket", addresses
// are as for net.Listen; names and paths are looked up there. The caller closes the listener. It leaves the file of a
// socket of network "unix" where it is. ctx is for the call, and not for the listener.
func Listen(ctx context.Context, c within.Caller, network, address string) (net.Listener, error) {
	k, is := kinds[network]
	if !is || k.socketType == syscall.SOCK_DGRAM {
		return nil, net.UnknownNetworkError(network)
	}
	f, err := listen.Call(ctx, c, place{network, address})
	if err != nil {
		closeSoon(f.File)
		return nil, err
	}
	defer closeSoon(f.File)
	if err := k.check(f.File, true); err != nil {
		return nil, err
	}
	return net.FileListener(f.File)
}

// Dial connects to an address where functions of c run. The networks are those of Listen, "udp", "udp4", "udp6" and
// "unixgram"; names and paths are looked up there. The caller closes the connection. ctx is for the call.
func Dial(ctx context.Context, c within.Caller, network, address string) (net.Conn, error) {
	k, is := kinds[network]
	if !is {
		return nil, net.UnknownNetworkError(network)
	}
	f, err := dial.Call(ctx, c, place{network, address})
	if err != nil {
		closeSoon(f.File)
		return nil, err
	}
	defer closeSoon(f.File)
	if err := k.check(f.File, false); err != nil {
		return nil, err
	}
	return net.FileConn(f.File)
}

// kind is a kind of sockets.
type kind struct {
	domains    []int
	socketType int
	protocols  []int
}

// mptcp is IPPROTO_MPTCP. Package net prefers it for listeners from Go 1.24 on.
const mptcp = 262

var (
	inet4    = []int{syscall.AF_INET}
	inet6    = []int{syscall.AF_INET6}
	inet     = []int{syscall.AF_INET, syscall.AF_INET6}
	unixOnly = []int{syscall.AF_UNIX}
	tcp      = []int{syscall.IPPROTO_TCP, mptcp}
	udp      = []int{syscall.IPPROTO_UDP}
	none     = []int{0}
)

var kinds = map[string]kind{
	"tcp":        {inet, syscall.SOCK_STREAM, tcp},
	"tcp4":       {inet4, syscall.SOCK_STREAM, tcp},
	"tcp6":       {inet6, syscall.SOCK_STREAM, tcp},
	"udp":        {inet, syscall.SOCK_DGRAM, udp},
	"udp4":       {inet4, syscall.SOCK_DGRAM, udp},
	"udp6":       {inet6, syscall.SOCK_DGRAM, udp},
	"unix":       {unixOnly, syscall.SOCK_STREAM, none},
	"unixgram":   {unixOnly, syscall.SOCK_DGRAM, none},
	"unixpacket": {unixOnly, syscall.SOCK_SEQPACKET, none},
}

// check demands that a file is a socket of the kind, which listens, or is connected. For what is no socket the kernel
// answers without asking whoever has made it.
func (k kind) check(f *os.File, listens bool) error {
	if f == nil {
		return fmt.Errorf("%w: none", ErrKind)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var wrong error
	if err := raw.Control(func(fd uintptr) { wrong = k.checkDescriptor(int(fd), listens) }); err != nil {
		return err
	}
	return wrong
}

func (k kind) checkDescriptor(fd int, listens bool) error {
	wanted := 0
	if listens {
		wanted = 1
	}
	for _, option := range []struct {
		number  int
		name    string
		allowed []int
	}{
		{syscall.SO_DOMAIN, "domain", k.domains},
		{syscall.SO_TYPE, "type", []int{k.socketType}},
		{syscall.SO_PROTOCOL, "protocol", k.protocols},
		{syscall.SO_ACCEPTCONN, "readiness to accept connections", []int{wanted}},
	} {
		value, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, option.number)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrKind, os.NewSyscallError("getsockopt", err))
		}
		isAllowed := false
		for _, allowed := range option.allowed {
			isAllowed = isAllowed || value == allowed
		}
		if !isAllowed {
			return fmt.Errorf("%w: a socket whose %s is %d", ErrKind, option.name, value)
		}
	}
	if !listens {
		if _, err := syscall.Getpeername(fd); err != nil {
			return fmt.Errorf("%w: %w", ErrKind, os.NewSyscallError("getpeername", err))
		}
	}
	return nil
}

// closeSoon closes a file. The one who has made it decides how long that takes (it can lie on FUSE), so nobody waits.
func closeSoon(f *os.File) {
	if f != nil {
		go f.Close()
	}
}

// opening is what Open asks for.
type opening struct {
	Path string
	Flag int
	Perm uint32
}

var open = within.Register("nsenter-cpp.example/nsenter/within/remote.open",
	func(_ context.Context, o opening) (within.File, error) {
		f, err := openRegular(o)
		return within.File{File: f}, err
	})

// openRegular opens a file if it is a regular one. To open another one can take for ever, or do something: a FIFO waits
// for its other end, a terminal becomes ours, a tape is wound back. So it is looked at before. One who exchanges it
// after that can have a device opened, and closed again.
func openRegular(o opening) (*os.File, error) {
	refused := &fs.PathError{Op: "open", Path: o.Path, Err: ErrNotRegular}
	if info, err := os.Stat(o.Path); err == nil && !info.Mode().IsRegular() {
		return nil, refused
	}
	flags := o.Flag | syscall.O_NONBLOCK | syscall.O_NOCTTY
	f, err := os.OpenFile(o.Path, flags, fs.FileMode(o.Perm))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = refused
	}
	if err == nil {
		err = syscall.SetNonblock(int(f.Fd()), false)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

const allowedFlags = os.O_RDONLY | os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREATE | os.O_EXCL | os.O_TRUNC |
	os.O_SYNC

// Open opens a regular file where functions of c run, as os.OpenFile does; symbolic links mean what they mean there. Of
// anything else, errors.Is finds ErrNotRegular in the error, and it is not opened, unless somebody exchanges it at that
// moment. The flags are those of package os. perm has the permissions of a file that is created, and no other bits.
//
// The caller closes the file. It can lie on any file system, one of FUSE for instance, whose owner decides what is read
// and how long that takes. Open itself takes no longer than ctx.
func Open(ctx context.Context, c within.Caller, path string, flag int, perm fs.FileMode) (*os.File, error) {
	if flag&^allowedFlags != 0 || perm&^fs.ModePerm != 0 {
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.EINVAL}
	}
	f, err := open.Call(ctx, c, opening{path, flag, uint32(perm)})
	if err != nil {
		closeSoon(f.File)
		return nil, err
	}
	checked := make(chan error, 1)
	go func() { checked <- checkRegular(f.File, flag) }()
	select {
	case err = <-checked:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		closeSoon(f.File)
		return nil, err
	}
	// What reads it needs its path for errors.
	fd, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_DUPFD_CLOEXEC, 0)
	closeSoon(f.File)
	if errno != 0 {
		return nil, os.NewSyscallError("fcntl", errno)
	}
	return os.NewFile(fd, path), nil
}

// checkRegular demands that a file is a regular one, open as the flags say.
func checkRegular(f *os.File, flag int) error {
	if f == nil {
		return fmt.Errorf("%w: none", ErrKind)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: %v", ErrKind, info.Mode().Type())
	}
	const path = 0x200000 // O_PATH, on every architecture that gc builds for
	const mask = syscall.O_ACCMODE | syscall.O_APPEND | syscall.O_NONBLOCK | path
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_GETFL, 0)
	if errno != 0 {
		return os.NewSyscallError("fcntl", errno)
	}
	if int(flags)&mask != flag&mask {
		return fmt.Errorf("%w: flags %#x", ErrKind, int(flags)&mask)
	}
	return nil
}
