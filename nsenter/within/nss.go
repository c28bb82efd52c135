// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

/*
#include <features.h>
#ifdef __GLIBC__
#include <nss.h>

// Looks things up in files only. glibc then does not read /etc/nsswitch.conf, and since 2.34 loads no
// library: "files" is part of it.
static void keep_to_files(void) {
  static const char *const databases[] = {
      "aliases", "ethers", "group", "gshadow", "hosts", "initgroups", "netgroup", "networks",
      "passwd", "protocols", "publickey", "rpc", "services", "shadow", "subid"};
  for (unsigned i = 0; i < sizeof(databases) / sizeof(databases[0]); ++i) {
    __nss_configure_lookup(databases[i], "files");
  }
}
#else
static void keep_to_files(void) {}  // musl loads nothing
#endif
*/
import "C"

// keepToFiles keeps the C library from loading code that the target's /etc/nsswitch.conf names, for a
// user's name for instance (CVE-2019-14271).
func keepToFiles() { C.keep_to_files() }
