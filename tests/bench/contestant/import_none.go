// SPDX-License-Identifier: Apache-2.0

//go:build linux && bench_none

package main

import _ "nsenter-cpp.example/tests/bench/none"
