// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import _ "nsenter-cpp.example/nsenter"
