// SPDX-License-Identifier: Apache-2.0

// A program that looks around in a container.
package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func main() {
	if os.Args[1] == "exit" {
		status, _ := strconv.Atoi(os.Args[2])
		os.Exit(status)
	}
	host, _ := os.Hostname()
	entries, _ := filepath.Glob("/*")
	processes, _ := filepath.Glob("/proc/[0-9]*")
	var interfaces []string
	found, _ := net.Interfaces()
	for _, i := range found {
		interfaces = append(interfaces, i.Name)
	}
	fmt.Printf("pid %d uid %d host %s root %s secret %q processes %d interfaces %s\n", os.Getpid(), os.Getuid(), host,
		strings.ReplaceAll(strings.Join(entries, ","), "/", ""), os.Getenv("SECRET"), len(processes),
		strings.Join(interfaces, ","))
}
