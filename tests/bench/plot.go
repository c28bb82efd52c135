// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"image/color"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Told apart by those who do not see colours as most do, too (Okabe and Ito).
var colours = map[string]color.Color{
	peer:      color.RGBA{213, 94, 0, 255},
	ours:      color.RGBA{0, 114, 178, 255},
	copying:   color.RGBA{86, 180, 233, 255},
	yardstick: color.RGBA{170, 170, 170, 255},
	stockRunc: color.RGBA{213, 94, 0, 255},
	ourRunc:   color.RGBA{0, 114, 178, 255},
	crun:      color.RGBA{0, 158, 115, 255},
	utilLinux: color.RGBA{170, 170, 170, 255},
}

// The contestants that plots show, from the top.
var plotted = []string{peer, copying, ours, yardstick}

// Plot writes the plots that go with the tables.
func (r *report) plot(dir string) error {
	for _, p := range []struct{ file, title, quantity string }{
		{"total.svg", "Added to a Go program's start, until all is reaped", "total_ns"},
		{"reply.svg", "Added to a Go program's start, until the reply", "reply_ns"},
	} {
		var names []string
		bars := map[string][]estimate{}
		for _, o := range r.scenarios {
			if !o.scenario.replies() {
				continue
			}
			names = append(names, o.scenario.title)
			for _, label := range plotted {
				bars[label] = append(bars[label], o.added(label, p.quantity).scaled(1e-3))
			}
		}
		if err := plotBars(filepath.Join(dir, p.file), p.title, "microseconds (less is better)", names, plotted, bars); err != nil {
			return err
		}
	}
	if r.whole == nil {
		return nil
	}
	bars := map[string][]estimate{}
	labels := []string{stockRunc, ourRunc, crun, utilLinux}
	for _, label := range labels {
		bars[label] = []estimate{r.whole.median(r.whole.run, label), r.whole.median(r.whole.exec, label)}
	}
	return plotBars(filepath.Join(dir, "commands.svg"), "Whole commands: /bin/true in a container", "milliseconds (less is better)",
		[]string{"run", "exec"}, labels, bars)
}

func (e estimate) scaled(by float64) estimate { return estimate{e.value * by, e.low * by, e.high * by} }

// PlotBars draws a group of horizontal bars for each name, with whiskers for the intervals. The first
// name and the first label are on top.
func plotBars(file, title, unit string, names, labels []string, bars map[string][]estimate) error {
	const thickness = vg.Length(7)
	plot.DefaultFont.Variant = "Sans" // with the widths of Arial, which is what most have
	p := plot.New()
	p.Title.Text = title
	p.Title.Padding = vg.Millimeter
	p.X.Label.Text = unit
	p.X.Min = 0
	p.Legend.Top = true
	p.Legend.Left = false
	p.BackgroundColor = color.White
	grid := plotter.NewGrid()
	grid.Horizontal.Width = 0
	p.Add(grid)

	// From the bottom up.
	n := len(names)
	reversed := make([]string, n)
	for i, name := range names {
		reversed[n-1-i] = name + "    " // room for who has a wider font
	}
	for position, label := range labels {
		values := make(plotter.Values, n)
		for i, e := range bars[label] {
			if e.known() && e.value > 0 {
				values[n-1-i] = e.value
			}
		}
		bar, err := plotter.NewBarChart(values, thickness)
		if err != nil {
			return err
		}
		bar.Horizontal = true
		bar.LineStyle.Width = 0
		bar.Color = colours[label]
		bar.Offset = thickness * (vg.Length(len(labels)-1)/2 - vg.Length(position))
		p.Add(bar, whiskers{bars[label], bar.Offset})
		p.Legend.Add(label, bar)
		for _, e := range bars[label] {
			if e.known() {
				p.X.Max = max(p.X.Max, 1.1*e.high)
			}
		}
	}
	p.NominalY(reversed...)

	canvas := vgsvg.New(22*vg.Centimeter, vg.Length(n)*thickness*vg.Length(len(labels)+1)+3*vg.Centimeter)
	p.Draw(draw.New(canvas))
	return writeTo(file, canvas)
}

// Whiskers are the intervals of the bars of one label.
type whiskers struct {
	estimates []estimate
	offset    vg.Length
}

func (w whiskers) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	style := draw.LineStyle{Color: color.Black, Width: vg.Points(0.7)}
	for i, e := range w.estimates {
		if !e.known() {
			continue
		}
		at := y(float64(len(w.estimates)-1-i)) + w.offset
		c.StrokeLine2(style, x(max(e.low, 0)), at, x(max(e.high, 0)), at)
	}
}

func writeTo(file string, canvas *vgsvg.Canvas) error {
	var text bytes.Buffer
	if _, err := canvas.WriteTo(&text); err != nil {
		return err
	}
	// Few have the font by that name.
	svg := bytes.ReplaceAll(text.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	return os.WriteFile(file, svg, 0o644)
}
