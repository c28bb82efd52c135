// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import "testing"

// The page tables of 64 MB have 32 pages; those that differ in a copy are not counted on.
const tablesOf64MB = 32 * 4

func TestSharedMemoryNeedsNoSecondPageTables(t *testing.T) {
	p := requireTouched(t)
	tables := map[string]int{}
	for _, label := range memoryContestants {
		kib, err := p.pageTables(label, p.touched[label])
		if err != nil {
			t.Fatal(err)
		}
		tables[label] = kib
	}
	t.Logf("KiB: %v", tables)
	if tables[ours] < tablesOf64MB || tables[ours] >= 2*tablesOf64MB {
		t.Errorf("%d KiB with shared memory, want those of 64 MB once", tables[ours])
	}
	if tables[copying] < tables[ours]+tablesOf64MB {
		t.Errorf("%d KiB with a copy, want those of 64 MB twice", tables[copying])
	}
}

func TestContainerOf16MiBStarts(t *testing.T) {
	p := requireTouched(t)
	group, err := newCgroup()
	if err != nil {
		t.Skip(err)
	}
	defer group.remove()
	for _, label := range memoryContestants {
		l, err := p.limits(group, label, p.touched[label])
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: peak %d KiB, starts with %d KiB", label, l.peak>>10, l.smallest>>10)
		if label == ours && l.smallest == 0 {
			t.Errorf("ours does not start with 16 MiB")
		}
	}
}

func requireTouched(t *testing.T) *programs {
	t.Helper()
	p := requirePrograms(t)
	if p.touched == nil {
		if err := p.buildTouched(1); err != nil {
			t.Fatal(err)
		}
	}
	return p
}
