// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The committed plots are those of the committed tables.
func TestPlotsGoWithTables(t *testing.T) {
	dir := filepath.Join(repoRoot(), "docs", "bench")
	text, err := os.ReadFile(filepath.Join(dir, results))
	if err != nil {
		t.Fatal(err)
	}
	charts, err := readCharts(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"total.svg", "reply.svg", "commands.svg"} {
		if charts[file] == nil {
			t.Errorf("%s is not drawn", file)
			continue
		}
		svg, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if drawn := charts[file].svg(); !bytes.Equal(svg, drawn) {
			t.Errorf("%s differs from what is drawn, see `go run . -redraw ../../docs/bench`", file)
		}
		checkInside(t, file, svg)
	}
}

// checkInside: every text and every bar lies within the view box, also with a wide font.
func checkInside(t *testing.T, name string, svg []byte) {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(svg))
	width, texts := 0.0, 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		attributes := map[string]string{}
		for _, a := range element.Attr {
			attributes[a.Name.Local] = a.Value
		}
		number := func(key string) float64 {
			value, _ := strconv.ParseFloat(attributes[key], 64)
			return value
		}
		from, to := 0.0, 0.0
		switch element.Name.Local {
		case "svg":
			width = number("width")
		case "rect":
			from, to = number("x"), number("x")+number("width")
		case "line":
			from, to = number("x1"), number("x2")
		case "text":
			texts++
			var text string
			if err := decoder.DecodeElement(&text, &element); err != nil {
				t.Fatal(err)
			}
			wide := widthOf(text, number("font-size"))
			from = number("x") - map[string]float64{"start": 0, "middle": 0.5, "end": 1}[attributes["text-anchor"]]*wide
			to = from + wide
		}
		if from < 0 || to > width {
			t.Errorf("%s: %s %v goes from %g to %g, and the plot is %g wide", name, element.Name.Local,
				attributes, from, to, width)
		}
	}
	if texts < 10 {
		t.Errorf("%s has %d texts only", name, texts)
	}
}

func TestPlotOfLongLabels(t *testing.T) {
	c := &chart{title: "a title", unit: "a unit & more", bars: map[string][]estimate{}}
	for i := range 12 {
		c.labels = append(c.labels, strings.Repeat("a label ", 2)+strconv.Itoa(i))
	}
	c.labels = append(c.labels, "not measured")
	err := c.add("a very long name of a scenario, longer than any there is", func(label string) string {
		if label == "not measured" {
			return "-"
		}
		return "1234567 (-5 to 2345678)"
	})
	if err != nil {
		t.Fatal(err)
	}
	svg := c.svg()
	checkInside(t, "a plot", svg)
	if strings.Contains(string(svg), "not measured") {
		t.Error("the legend names what has no bar")
	}
	if err := c.add("x", func(string) string { return "12" }); err == nil {
		t.Error("12 is taken for an estimate")
	}
}
