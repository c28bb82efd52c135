// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Told apart by those who do not see colours as most do, too (Okabe and Ito).
var colours = map[string]string{
	peer:      "#d55e00",
	ours:      "#0072b2",
	copying:   "#56b4e9",
	yardstick: "#aaaaaa",
	stockRunc: "#d55e00",
	ourRunc:   "#0072b2",
	crun:      "#009e73",
	utilLinux: "#aaaaaa",
}

// A chart has a group of horizontal bars for each name, and in it one for each label.
type chart struct {
	title, unit string
	names       []string
	labels      []string // from the top
	bars        map[string][]estimate
}

// Results is the file with the tables that plots are drawn from.
const results = "results.md"

// Redraw draws the plots that go with the tables in a folder.
func redraw(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, results))
	if err != nil {
		return err
	}
	charts, err := readCharts(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", results, err)
	}
	for file, c := range charts {
		if err := os.WriteFile(filepath.Join(dir, file), c.svg(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// ReadCharts reads the tables of a report. The plots show the rounded numbers of these tables.
func readCharts(report string) (map[string]*chart, error) {
	charts := map[string]*chart{}
	for _, c := range []struct{ heading, file, title string }{
		{totalHeading, "total.svg", "Added to a Go program's start, until all is reaped"},
		{replyHeading, "reply.svg", "Added to a Go program's start, until the reply"},
	} {
		rows, err := readTable(report, c.heading)
		if err != nil {
			return nil, err
		}
		made := &chart{title: c.title, unit: "microseconds (less is better)",
			labels: []string{peer, copying, ours, yardstick},
			bars:   map[string][]estimate{}}
		for _, row := range rows {
			i := slices.IndexFunc(allScenarios, func(s scenario) bool { return s.title == row["scenario"] })
			if i < 0 || !allScenarios[i].replies() {
				continue
			}
			if err := made.add(row["scenario"], func(label string) string { return row[label] }); err != nil {
				return nil, err
			}
		}
		charts[c.file] = made
	}
	if !strings.Contains(report, "\n## "+commandsHeading+"\n") {
		return charts, nil
	}
	rows, err := readTable(report, commandsHeading)
	if err != nil {
		return nil, err
	}
	made := &chart{title: "Whole commands: /bin/true in a container", unit: "milliseconds (less is better)",
		bars: map[string][]estimate{}}
	for _, row := range rows {
		made.labels = append(made.labels, row["milliseconds"])
	}
	for _, name := range []string{"run", "exec"} {
		err := made.add(name, func(label string) string {
			return rows[slices.Index(made.labels, label)][name+" /bin/true"]
		})
		if err != nil {
			return nil, err
		}
	}
	charts["commands.svg"] = made
	return charts, nil
}

// ReadTable reads the first table below a heading: the cells of each row by the names of the columns.
func readTable(report, heading string) ([]map[string]string, error) {
	_, rest, found := strings.Cut(report, "\n## "+heading+"\n")
	if !found {
		return nil, fmt.Errorf("no heading %q", heading)
	}
	var columns []string
	var rows []map[string]string
	for _, line := range strings.Split(rest, "\n") {
		if !strings.HasPrefix(line, "| ") {
			if columns != nil || strings.HasPrefix(line, "## ") {
				break
			}
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		switch {
		case columns == nil:
			columns = cells
		case strings.HasPrefix(cells[0], "---"):
		default:
			row := map[string]string{}
			for i := 0; i < len(cells) && i < len(columns); i++ {
				row[columns[i]] = cells[i]
			}
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("no table below %q", heading)
	}
	return rows, nil
}

var estimateForm = regexp.MustCompile(`^(-?[0-9.]+) \((-?[0-9.]+) to (-?[0-9.]+)\)$`)

// Add adds a group of bars.
func (c *chart) add(name string, cell func(label string) string) error {
	c.names = append(c.names, name)
	for _, label := range c.labels {
		e, text := missing, cell(label)
		if found := estimateForm.FindStringSubmatch(text); found != nil {
			for i, number := range []*float64{&e.value, &e.low, &e.high} {
				*number, _ = strconv.ParseFloat(found[i+1], 64)
			}
		} else if text != "-" {
			return fmt.Errorf("%s of %s is neither an estimate nor missing: %q", label, name, text)
		}
		c.bars[label] = append(c.bars[label], e)
	}
	return nil
}

// Sizes of the parts of a plot, in pixels.
const (
	plotWidth  = 840
	margin     = 16
	fontSize   = 12
	lineHeight = 18
	thickness  = 8  // of a bar
	groupGap   = 12 // between groups of bars
	swatch     = 12
	gap        = 6 // between a text and what it belongs to
)

// WidthOf is not less than what a text takes, whichever sans-serif font the viewer has: the widest that are common take
// 0.6 of their size for a letter of English.
func widthOf(text string, size float64) float64 {
	return 0.65 * size * float64(utf8.RuneCountInString(text))
}

// A drawing is the text of an SVG.
type drawing struct{ bytes.Buffer }

func (d *drawing) text(x, y, size float64, anchor, text string) {
	fmt.Fprintf(d, "<text class=\"ink\" x=\"%.1f\" y=\"%.1f\" font-size=\"%g\" text-anchor=\"%s\" fill=\"#1f2328\">", x, y,
		size, anchor)
	_ = xml.EscapeText(d, []byte(text)) // a buffer takes everything
	d.WriteString("</text>\n")
}

func (d *drawing) rect(x, y, width, height float64, colour string) {
	fmt.Fprintf(d, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x,
		y, width, height, colour)
}

func (d *drawing) line(class string, x1, y1, x2, y2 float64, colour string) {
	fmt.Fprintf(d, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n",
		class, x1, y1, x2, y2, colour)
}

// Shown are the labels that have something to show.
func (c *chart) shown() []string {
	return slices.DeleteFunc(slices.Clone(c.labels), func(label string) bool {
		return !slices.ContainsFunc(c.bars[label], estimate.known)
	})
}

// TickStep finds the distance of the axis's ticks: 1, 2 or 5 times a power of ten, so that there are at most eight.
func tickStep(most float64) float64 {
	for step := math.Pow(10, math.Floor(math.Log10(most))-1); ; step *= 10 {
		for _, times := range []float64{1, 2, 5} {
			if most/(times*step) <= 8 {
				return times * step
			}
		}
	}
}

// Svg draws the chart. It has a background of its own, since the page that shows it may be dark or light, and not be
// what the viewer's system prefers.
func (c *chart) svg() []byte {
	labels := c.shown()
	left, most := 0.0, 1e-3
	for _, name := range c.names {
		left = max(left, widthOf(name, fontSize))
	}
	for _, label := range labels {
		for _, e := range c.bars[label] {
			if e.known() {
				most = max(most, e.value, e.high)
			}
		}
	}
	left += margin + gap
	// A tick's text may be as much wider than the axis.
	right := plotWidth - margin - widthOf("1000", fontSize)/2
	scale := (right - left) / (1.02 * most)

	var body drawing
	y := float64(margin + lineHeight)
	body.text(margin, y, fontSize+3, "start", c.title)

	// The legend, in as many lines as it takes.
	y += lineHeight
	for x, i := float64(margin), 0; i < len(labels); i++ {
		wide := swatch + gap + widthOf(labels[i], fontSize)
		if x+wide > plotWidth-margin {
			x, y = margin, y+lineHeight
		}
		body.rect(x, y-swatch+2, swatch, swatch, colours[labels[i]])
		body.text(x+swatch+gap, y, fontSize, "start", labels[i])
		x += wide + 2*gap
	}

	top := y + lineHeight
	group := float64(thickness*len(labels) + groupGap)
	bottom := top + group*float64(len(c.names))
	step := tickStep(most)
	for i := 0; float64(i)*step <= 1.02*most; i++ {
		x := left + float64(i)*step*scale
		body.line("grid", x, top, x, bottom, "#d0d7de")
		body.text(x, bottom+lineHeight-2, fontSize, "middle", strconv.FormatFloat(float64(i)*step, 'f', -1, 64))
	}
	for i, name := range c.names {
		y := top + float64(i)*group + groupGap/2
		body.text(left-gap, y+float64(thickness*len(labels))/2+fontSize/3, fontSize, "end", name)
		for j, label := range labels {
			e := c.bars[label][i]
			if !e.known() {
				continue
			}
			at := y + float64(j*thickness)
			if e.value > 0 {
				body.rect(left, at, e.value*scale, thickness-1, colours[label])
			}
			middle := at + (thickness-1)/2.0
			body.line("whisker", left+max(e.low, 0)*scale, middle, left+max(e.high, 0)*scale, middle, "#1f2328")
		}
	}
	body.text((left+right)/2, bottom+2*lineHeight, fontSize, "middle", c.unit)
	height := bottom + 2*lineHeight + margin

	var d drawing
	fmt.Fprintf(&d, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" viewBox=\"0 0 "+
		"%d %.0f\" role=\"img\" "+
		"font-family=\"Arial,Helvetica,Liberation Sans,DejaVu Sans,sans-serif\">\n", plotWidth, height, plotWidth, height)
	d.WriteString("<title>")
	_ = xml.EscapeText(&d, []byte(c.title+", "+c.unit)) // as above
	d.WriteString("</title>\n<style>@media (prefers-color-scheme: dark) { " +
		".paper { fill: #0d1117 } .ink { fill: #e6edf3 } .grid { stroke: #3d444d } .whisker { stroke: #ffffff } }</style>\n")
	fmt.Fprintf(&d, "<rect class=\"paper\" width=\"%d\" height=\"%.0f\" fill=\"#ffffff\"/>\n", plotWidth, height)
	d.Write(body.Bytes())
	d.WriteString("</svg>\n")
	return d.Bytes()
}
