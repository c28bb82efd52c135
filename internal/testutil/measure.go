// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package testutil

import (
	"sort"
	"testing"
	"time"
)

// Way is one of several ways to do the same, for InTurn.
type Way struct {
	Name string
	Run  func() error
}

// InTurn runs all ways one after the other, b.N times, so that a load of the machine meets all of them. It reports the
// median of each in microseconds, logs the least too, and returns the medians.
func InTurn(b *testing.B, ways []Way) (medians []float64) {
	b.Helper()
	times := make([][]time.Duration, len(ways))
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		for i, way := range ways {
			begin := time.Now()
			if err := way.Run(); err != nil {
				b.Fatalf("%s: %v", way.Name, err)
			}
			times[i] = append(times[i], time.Since(begin))
		}
	}
	b.StopTimer()
	for i, way := range ways {
		sort.Slice(times[i], func(j, k int) bool { return times[i][j] < times[i][k] })
		median := times[i][len(times[i])/2]
		medians = append(medians, float64(median))
		b.ReportMetric(float64(median.Microseconds()), way.Name+"-us")
		b.Logf("%s: least %v, median %v", way.Name, times[i][0], median)
	}
	return medians
}
