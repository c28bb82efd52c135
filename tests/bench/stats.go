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
// with replacement. A round is drawn for all series at once: what disturbs one launch of a round often
// disturbs the others too.
func bootstrap(seed int, confidence float64, statistic func(medians) float64, series ...[]float64) estimate {
	e := estimate{value: statistic(median)}
	n := len(series[0])
	random := rand.New(rand.NewSource(int64(seed)))
	rounds := make([]int, n)
	drawn := make([]float64, n)
	values := make([]float64, 0, resamples)
	for len(values) < resamples {
		for i := range rounds {
			rounds[i] = random.Intn(n)
		}
		values = append(values, statistic(func(s []float64) float64 {
			for i, round := range rounds {
				drawn[i] = s[round]
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
