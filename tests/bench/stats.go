// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"math"
	"math/rand"
	"slices"
)

const (
	// Of the intervals in the table.
	confidence = 0.95
	// Of the crossed check: with as many as there are, one in twenty would void nearly every run.
	crossedConfidence = 0.999
	resamples         = 1000
)

// An estimate is a value and the interval that it lies in.
type estimate struct {
	value, low, high float64
}

var missing = estimate{math.NaN(), math.NaN(), math.NaN()}

func (e estimate) known() bool                 { return !math.IsNaN(e.value) }
func (e estimate) contains(value float64) bool { return e.low <= value && value <= e.high }

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return middle(sorted)
}

func middle(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// Medians gives the median of a series, as it is or as it was drawn anew.
type medians func(series []float64) float64

// Bootstrap evaluates a statistic of medians on the series as they are, and on rounds drawn from them
// with replacement: first the groups that they are drawn from, and from each as many rounds as are in it. A round
// is drawn for all series at once: what disturbs one launch of a round often disturbs the others too.
func bootstrap(seed int, confidence float64, groups [][]int, statistic func(medians) float64,
	series ...[]float64) estimate {
	e := estimate{value: statistic(median)}
	random := rand.New(rand.NewSource(int64(seed)))
	var rounds []int
	var drawn []float64
	values := make([]float64, 0, resamples)
	for len(values) < resamples {
		rounds = rounds[:0]
		for range groups {
			group := groups[random.Intn(len(groups))]
			for range group {
				rounds = append(rounds, group[random.Intn(len(group))])
			}
		}
		values = append(values, statistic(func(s []float64) float64 {
			drawn = drawn[:0]
			for _, round := range rounds {
				drawn = append(drawn, s[round])
			}
			slices.Sort(drawn)
			return middle(drawn)
		}))
	}
	slices.Sort(values)
	tail := (1 - confidence) / 2
	e.low = values[int(math.Floor(tail*float64(len(values)-1)))]
	e.high = values[int(math.Ceil((1-tail)*float64(len(values)-1)))]
	return e
}

// OneGroup is for rounds that differ in nothing.
func oneGroup(n int) [][]int {
	group := make([]int, n)
	for i := range group {
		group[i] = i
	}
	return [][]int{group}
}
