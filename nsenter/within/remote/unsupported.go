// SPDX-License-Identifier: Apache-2.0

//go:build go1.22 && !(linux && cgo && gc)

package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"nsenter-cpp.example/nsenter/within"
)

// errUnsupported is the error of all calls.
var errUnsupported = fmt.Errorf("remote: package within cannot call functions here: %w", errors.ErrUnsupported)

// Listen fails with an error in which errors.Is finds errors.ErrUnsupported.
func Listen(ctx context.Context, c within.Caller, network, address string) (net.Listener, error) {
	return nil, errUnsupported
}

// Dial fails with an error in which errors.Is finds errors.ErrUnsupported.
func Dial(ctx context.Context, c within.Caller, network, address string) (net.Conn, error) {
	return nil, errUnsupported
}

// Open fails with an error in which errors.Is finds errors.ErrUnsupported.
func Open(ctx context.Context, c within.Caller, path string, flag int, perm fs.FileMode) (*os.File, error) {
	return nil, errUnsupported
}
