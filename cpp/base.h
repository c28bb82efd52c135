// SPDX-License-Identifier: Apache-2.0
//
// Every file of the core includes this first. It checks the conditions of the build.

#pragma once

#if !defined(__linux__)
#error "nsenter needs Linux: there are no namespaces elsewhere"
#endif
#if !defined(__cplusplus) || __cplusplus < 202002L
#error "nsenter needs a C++20 compiler: g++ 12 or clang++ 14 or newer, with -std=c++20"
#endif

// Hardened distributions switch libstdc++'s assertions on from the command line. Their failure
// handler lives in libstdc++.so, which this code must not need at run time.
#undef _GLIBCXX_ASSERTIONS
#undef _GLIBCXX_DEBUG
