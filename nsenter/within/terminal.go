// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"nsenter-cpp.example/internal/kernel"
	"nsenter-cpp.example/internal/launch"
)

// OpenTerminal opens a new pseudo terminal of the caller's /dev/ptmx. The caller closes it.
func OpenTerminal() (*Terminal, error) {
	const flags = syscall.O_RDWR | syscall.O_NOCTTY | syscall.O_CLOEXEC
	fd, err := syscall.Open("/dev/ptmx", flags|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/dev/ptmx", Err: err}
	}
	master := os.NewFile(uintptr(fd), "/dev/ptmx")
	var unlock int32
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TIOCSPTLCK, uintptr(unsafe.Pointer(&unlock)))
	if errno != 0 {
		master.Close()
		return nil, fmt.Errorf("within: failed to unlock a pseudo terminal: %w", errno)
	}
	// Not by a path: what lies in /dev/pts need not be of the same file system.
	slave, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), kernel.TiocGptpeer, flags)
	if errno != 0 {
		master.Close()
		return nil, fmt.Errorf("within: failed to open the other side of a pseudo terminal: %w", errno)
	}
	return &Terminal{Master: master, Slave: os.NewFile(slave, "pty")}, nil
}

// Close closes both sides. Programs that have the terminal get a SIGHUP.
func (t *Terminal) Close() error {
	err := t.Slave.Close()
	if errors.Is(err, os.ErrClosed) { // by what Attach has returned
		err = nil
	}
	return errors.Join(err, t.Master.Close())
}

// Resize sets how many rows and columns the terminal has. Programs that have it get a SIGWINCH.
func (t *Terminal) Resize(rows, columns uint16) error {
	return setWindow(t.Master, windowSize{rows: rows, columns: columns})
}

// Attach connects the terminal with another one, usually the caller's own, os.Stdin: it copies what is typed there, and
// what programs write, and follows its size. The other one is in raw mode until detach is called, which is for when the
// program has ended: it waits until all output has been copied, for a second at most if others still have the
// terminal. Slave is closed in any case: programs have their own.
func (t *Terminal) Attach(other *os.File) (detach func() error, err error) {
	// Opened anew, so that it does not block, which for others that have the file it still does.
	path := fmt.Sprintf("/proc/self/fd/%d", other.Fd())
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("within: failed to attach a terminal: %w", err)
	}
	own := os.NewFile(uintptr(fd), other.Name())
	mode, err := makeRaw(own)
	if err != nil {
		own.Close()
		return nil, fmt.Errorf("within: failed to attach a terminal: %w", err)
	}
	t.followSize(own)
	sizes := make(chan os.Signal, 1)
	signal.Notify(sizes, syscall.SIGWINCH)
	var input, output sync.WaitGroup
	input.Add(2)
	output.Add(1)
	go func() {
		defer input.Done()
		io.Copy(t.Master, own)
	}()
	go func() {
		defer input.Done()
		for range sizes {
			t.followSize(own)
		}
	}()
	go func() {
		defer output.Done()
		io.Copy(own, launch.NewReader(t.Master)) // to EIO
	}()
	return sync.OnceValue(func() error {
		t.Slave.Close()
		t.Master.SetReadDeadline(time.Now().Add(patienceForOthers))
		output.Wait()
		signal.Stop(sizes)
		close(sizes)
		own.SetReadDeadline(time.Unix(1, 0))
		t.Master.SetWriteDeadline(time.Unix(1, 0))
		input.Wait()
		return errors.Join(setMode(own, mode), own.Close())
	}), nil
}

// windowSize is struct winsize.
type windowSize struct{ rows, columns, x, y uint16 }

func (t *Terminal) followSize(other *os.File) {
	var size windowSize
	if control(other, syscall.TIOCGWINSZ, unsafe.Pointer(&size)) == nil {
		setWindow(t.Master, size)
	}
}

func setWindow(terminal *os.File, size windowSize) error {
	if err := control(terminal, syscall.TIOCSWINSZ, unsafe.Pointer(&size)); err != nil {
		return fmt.Errorf("within: failed to resize a terminal: %w", err)
	}
	return nil
}

// makeRaw has a terminal hand on what is typed as it is, as cfmakeraw(3), and returns how it was before.
func makeRaw(terminal *os.File) (before syscall.Termios, err error) {
	if err := control(terminal, syscall.TCGETS, unsafe.Pointer(&before)); err != nil {
		return before, err
	}
	raw := before
	raw.Iflag &^= syscall.IGNBRK | syscall.BRKINT | syscall.PARMRK | syscall.ISTRIP | syscall.INLCR | syscall.IGNCR |
		syscall.ICRNL | syscall.IXON
	raw.Oflag &^= syscall.OPOST
	raw.Lflag &^= syscall.ECHO | syscall.ECHONL | syscall.ICANON | syscall.ISIG | syscall.IEXTEN
	raw.Cflag = raw.Cflag&^(syscall.CSIZE|syscall.PARENB) | syscall.CS8
	raw.Cc[syscall.VMIN], raw.Cc[syscall.VTIME] = 1, 0
	return before, setMode(terminal, raw)
}

func setMode(terminal *os.File, mode syscall.Termios) error {
	return control(terminal, syscall.TCSETS, unsafe.Pointer(&mode))
}

// control is ioctl(2).
func control(file *os.File, request uintptr, argument unsafe.Pointer) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var errno syscall.Errno
	if err := raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(argument))
	}); err != nil {
		return err
	}
	if errno != 0 {
		return os.NewSyscallError("ioctl", errno)
	}
	return nil
}

// takeTerminal makes a descriptor the controlling terminal of this process, which leads a session, and its process
// group the one in the foreground.
func takeTerminal(fd int) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TIOCSCTTY, 0); errno != 0 {
		return fmt.Errorf("within: failed to make Terminal the controlling terminal: %w", errno)
	}
	return nil
}
