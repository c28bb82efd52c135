// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22 && !race

package spawn

const hasRaceDetector = 0
