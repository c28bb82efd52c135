// SPDX-License-Identifier: Apache-2.0

//go:build linux && bench_touched

package main

import _ "nsenter-cpp.example/tests/bench/touched"
