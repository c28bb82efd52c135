// SPDX-License-Identifier: Apache-2.0

//go:build linux

package matrix

import (
	"fmt"
	"strings"
)

// Cells: what came of a combination.
const (
	equal     = "="
	bothFail  = "F" // both fail, with the same errno
	unlisted  = "?"
	legend    = "= equal, F both fail with the same errno, letters: listed differences; + new, > joined, * both"
	cellWidth = 4
)

var signs = map[how]string{created: "+", joined: ">", both: "*"}

// letter is the sign of the i-th listed difference.
func letter(i int) string { return string(rune('a' + i)) }

// render draws all cells: for each caller and setting of the user namespace each type alone, and the
// pairs; then the sets.
func render(cells map[string]string) string {
	var out strings.Builder
	fmt.Fprintln(&out, legend)
	for i := range callers {
		c := &callers[i]
		cell := func(what map[string]how) string {
			combination := combination{caller: c, what: what}
			return cells[combination.name()]
		}
		for _, user := range []how{own, created, joined} {
			fmt.Fprintf(&out, "\n%s, user namespace %s: %s\n", c.name, user, cell(map[string]how{"user": user}))
			renderTypes(&out, user, cell)
		}
		fmt.Fprintf(&out, "\n%s, user namespace both: %s\n", c.name, cell(map[string]how{"user": both}))
	}
	fmt.Fprintf(&out, "\n%-36s", "sets")
	for i := range callers {
		fmt.Fprintf(&out, " %s", callers[i].name)
	}
	out.WriteString("\n")
	for _, set := range sets {
		fmt.Fprintf(&out, "%-36s", set.name)
		for i := range callers {
			combination := combination{caller: &callers[i], set: set.name}
			fmt.Fprintf(&out, " %-*s", len(callers[i].name), cells[combination.name()])
		}
		out.WriteString("\n")
	}
	return out.String()
}

func renderTypes(out *strings.Builder, user how, cell func(map[string]how) string) {
	fmt.Fprintf(out, "%-9s%-6s", "", "alone")
	for _, name := range types {
		for _, h := range pairHows {
			fmt.Fprintf(out, " %*s", cellWidth+3, name+signs[h])
		}
	}
	out.WriteString("\n")
	for i, first := range types {
		for _, h := range []how{created, joined, both} {
			fmt.Fprintf(out, "%-9s%-6s", first+signs[h], cell(map[string]how{"user": user, first: h}))
			for j, second := range types {
				for _, g := range pairHows {
					text := ""
					if j > i && h != both {
						text = cell(map[string]how{"user": user, first: h, second: g})
					}
					fmt.Fprintf(out, " %*s", cellWidth+3, text)
				}
			}
			out.WriteString("\n")
		}
	}
}
