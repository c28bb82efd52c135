// SPDX-License-Identifier: Apache-2.0

//go:build linux && bench_runc

package main

import _ "github.com/opencontainers/runc/libcontainer/nsenter"
