// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

// Command interfaces lists the network interfaces of every network namespace on the machine, and their
// addresses. Nothing has to be in a container for that.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"nsenter-cpp.example/nsenter/within"
)

// Interface is what is shown of one.
type Interface struct {
	Name, Hardware string
	Addresses      []string
}

var list = within.Register("interfaces.list", func(context.Context, struct{}) ([]Interface, error) {
	found, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var interfaces []Interface
	for _, i := range found {
		shown := Interface{Name: i.Name, Hardware: i.HardwareAddr.String()}
		addresses, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addresses {
			shown.Addresses = append(shown.Addresses, a.String())
		}
		interfaces = append(interfaces, shown)
	}
	return interfaces, nil
})

func main() {
	within.Init()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "interfaces:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	links, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, link := range links {
		namespace, err := os.Readlink(link)
		if err != nil || seen[namespace] {
			continue // it has ended, or is not ours to look at
		}
		seen[namespace] = true
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(link))))
		if err != nil {
			return err
		}
		interfaces, err := list.Call(ctx, &within.Proc{Target: within.Of(pid, within.Net)}, struct{}{})
		if errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s of process %d: %w", namespace, pid, err)
		}
		for _, i := range interfaces {
			fmt.Println(namespace, pid, i.Name, i.Hardware, i.Addresses)
		}
	}
	return nil
}
