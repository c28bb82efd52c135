// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22 && race

package within

const isRaceBuild = true
