// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"
)

// All lengths are pixels.
const (
	width      = 760
	margin     = 8
	fontSize   = 12
	lineHeight = 16
	gap        = 12 // between two rows
	barWidth   = 8  // of a process that runs
	headLength = 8  // of an arrow
	padding    = 8  // left and right of a text in its box
)

// A state is what a process does.
type state int

const (
	absent state = iota // not created yet
	running
	waiting
	ended
)

// A lane is a process, of which the line goes downwards.
type lane struct {
	name  string
	x     float64
	state state
	since float64 // the height at which the state began
}

// A sketch is a picture that is being drawn, from the top.
type sketch struct {
	title string
	lanes []*lane
	y     float64
	lines []string // of the processes, below everything else
	rest  []string
}

// draw draws the picture that a text describes.
func draw(text string) (string, error) {
	s := &sketch{y: 16}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := s.add(line); err != nil {
			return "", fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return s.finish()
}

// add draws one line of the text.
func (s *sketch) add(line string) error {
	for _, verb := range []struct {
		word  string
		state state
	}{{"runs ", running}, {"waits ", waiting}} {
		if rest := strings.TrimPrefix(line, verb.word); rest != line {
			l, err := s.living(rest)
			if err == nil {
				s.change(l, verb.state, s.y-gap/2)
			}
			return err
		}
	}
	before, text, found := cut(line, ": ")
	if !found {
		return fmt.Errorf("no colon: %q", line)
	}
	switch {
	case before == "title":
		s.title = text
		return nil
	case before == "lanes":
		return s.begin(strings.Split(text, ", "))
	case strings.HasPrefix(before, "note "):
		return s.note(strings.TrimPrefix(before, "note "), text)
	}
	for _, arrow := range []string{"=>", "->", "~>"} {
		if from, to, found := cut(before, " "+arrow+" "); found {
			return s.arrow(arrow, from, to, text)
		}
	}
	return fmt.Errorf("no such line: %q", line)
}

// begin says which lanes there are.
func (s *sketch) begin(names []string) error {
	column := float64(width-2*margin) / float64(len(names))
	for i, name := range names {
		s.lanes = append(s.lanes, &lane{name: name, x: margin + column*(float64(i)+0.5)})
	}
	if err := s.head(s.lanes[0]); err != nil {
		return err
	}
	s.y += lineHeight + 2*gap
	return nil
}

func (s *sketch) find(name string) (*lane, error) {
	for _, l := range s.lanes {
		if l.name == name {
			return l, nil
		}
	}
	return nil, fmt.Errorf("no lane: %q", name)
}

// living is the lane of a process that exists and has not ended.
func (s *sketch) living(name string) (*lane, error) {
	l, err := s.find(name)
	if err == nil && l.state != running && l.state != waiting {
		err = fmt.Errorf("%q does not exist, or has ended", name)
	}
	return l, err
}

// column is the room for the text on a lane.
func (s *sketch) column() float64 {
	return float64(width-2*margin)/float64(len(s.lanes)) - 2*padding
}

// head draws the name of a process that begins at the current height.
func (s *sketch) head(l *lane) error {
	size, err := s.fit([]string{l.name}, s.column())
	if err != nil {
		return err
	}
	box := size + 3*padding
	s.print(`<rect class="head" x="%.1f" y="%.1f" width="%.1f" height="%d" rx="4"/>`, l.x-box/2, s.y, box, lineHeight+gap)
	s.text("name", l.x, s.y+19, l.name)
	l.state, l.since = running, s.y+lineHeight+gap
	return nil
}

// change ends what a process did up to a height.
func (s *sketch) change(l *lane, to state, y float64) {
	switch l.state {
	case running:
		s.line(`<rect class="runs" x="%.1f" y="%.1f" width="%d" height="%.1f"/>`, l.x-barWidth/2,
			l.since, barWidth, y-l.since)
	case waiting:
		s.line(`<path class="waits" d="M%.1f %.1fV%.1f"/>`, l.x, l.since, y)
	}
	l.state, l.since = to, y
}

// note draws what a process does, in a box on its lane.
func (s *sketch) note(name, text string) error {
	l, err := s.living(name)
	if err != nil {
		return err
	}
	lines := split(text)
	size, err := s.fit(lines, s.column())
	if err != nil {
		return err
	}
	box := size + 2*padding
	height := float64(len(lines)*lineHeight + 8)
	s.print(`<rect class="note" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="3"/>`, l.x-box/2, s.y, box, height)
	for i, line := range lines {
		s.text("", l.x, s.y+16+float64(i*lineHeight), line)
	}
	s.y += height + gap
	return nil
}

// arrow draws an arrow with a text above it.
func (s *sketch) arrow(kind, fromName, toName, text string) error {
	from, err := s.find(fromName)
	if err != nil {
		return err
	}
	to, err := s.find(toName)
	if err != nil {
		return err
	}
	lines := split(text)
	left, right := from, to
	if left.x > right.x {
		left, right = to, from
	}
	// A text does not stand on the line of another process: then it stands beside the one that the arrow points to.
	for _, other := range s.lanes {
		if left.x < other.x && other.x < right.x && other.state != absent && other.state != ended {
			if right == to {
				left = other
			} else {
				right = other
				break
			}
		}
	}
	if _, err := s.fit(lines, right.x-left.x-2*padding-barWidth); err != nil {
		return err
	}
	middle := (left.x + right.x) / 2
	if kind == "=>" { // the head of the new lane takes room of this
		if to.state != absent {
			return fmt.Errorf("%q is created twice", to.name)
		}
		size, err := s.fit([]string{to.name}, s.column())
		if err != nil {
			return err
		}
		half := (size + 3*padding) / 2
		if _, err := s.fit(lines, right.x-left.x-half-2*padding); err != nil {
			return err
		}
		middle -= sign(to.x-from.x) * half / 2
	}
	for i, line := range lines {
		s.text("", middle, s.y+12+float64(i*lineHeight), line)
	}
	s.y += float64(len(lines)*lineHeight) + 6

	class := "bytes"
	end := to.x
	switch kind {
	case "=>":
		class = "creates"
		if from.state != running {
			return fmt.Errorf("%q creates a process and does not run", from.name)
		}
		y := s.y
		s.y -= (lineHeight + gap) / 2
		if err := s.head(to); err != nil {
			return err
		}
		s.y = y
		size, _ := s.fit([]string{to.name}, s.column())
		end -= sign(to.x-from.x) * ((size+3*padding)/2 - barWidth/2)
	case "->":
		if from.state != running {
			return fmt.Errorf("%q sends and does not run", from.name)
		}
	case "~>":
		class = "ends"
		if from.state != ended {
			s.change(from, ended, s.y)
			s.print(`<path class="cross" d="M%.1f %.1fl12 12m0 -12l-12 12"/>`, from.x-6, s.y-6)
		} else {
			s.line(`<path class="ended" d="M%.1f %.1fV%.1f"/>`, from.x, from.since, s.y)
			from.since = s.y
		}
	}
	if to.state != running && to.state != waiting {
		return fmt.Errorf("%q does not exist, or has ended", to.name)
	}
	direction := sign(to.x - from.x)
	start, tip := from.x+direction*barWidth/2, end-direction*barWidth/2
	s.print(`<path class="%s" d="M%.1f %.1fH%.1f"/>`, class, start, s.y, tip-direction*headLength)
	s.print(`<path class="%s tip" d="M%.1f %.1fl%.1f -4v8z"/>`, class, tip, s.y, -direction*headLength)
	if to.state == waiting && kind != "=>" {
		s.change(to, running, s.y)
	}
	s.y += gap
	if kind == "=>" {
		s.y += lineHeight / 2
	}
	return nil
}

func sign(x float64) float64 {
	if x < 0 {
		return -1
	}
	return 1
}

// finish ends all lanes and puts the picture together.
func (s *sketch) finish() (string, error) {
	if s.title == "" || len(s.lanes) == 0 {
		return "", fmt.Errorf("no title, or no lanes")
	}
	s.y += 4
	for _, l := range s.lanes {
		if l.state == absent {
			return "", fmt.Errorf("%q is never created", l.name)
		}
		s.change(l, ended, s.y)
	}
	s.legend()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" viewBox="0 0 %d %.0f" role="img">`,
		width, s.y, width, s.y)
	b.WriteString("\n<!-- SPDX-License-Identifier: Apache-2.0 -->\n<!-- Written by docs/pictures/draw -->\n")
	fmt.Fprintf(&b, "<title>%s</title>\n%s\n", escape(s.title), style)
	fmt.Fprintf(&b, `<rect class="page" width="%d" height="%.0f"/>`+"\n", width, s.y)
	for _, line := range append(s.lines, s.rest...) {
		b.WriteString(line + "\n")
	}
	b.WriteString("</svg>\n")
	return b.String(), nil
}

// legend says what the lines mean.
func (s *sketch) legend() {
	s.y += 20
	const sampleWidth, perLetter = 34, 0.56 * fontSize
	x := float64(margin)
	for _, entry := range []struct{ sample, text string }{
		{`<path class="creates" d="M%[1]f %[2]fh20"/><path class="creates tip" d="M%[3]f %[2]fl-8 -4v8z"/>`,
			"creates a process"},
		{`<path class="bytes" d="M%[1]f %[2]fh20"/><path class="bytes tip" d="M%[3]f %[2]fl-8 -4v8z"/>`, "writes bytes"},
		{`<path class="ends" d="M%[1]f %[2]fh20"/><path class="ends tip" d="M%[3]f %[2]fl-8 -4v8z"/>`, "its end is seen"},
		{`<path class="runsline" d="M%[1]f %[2]fH%[3]f"/>`, "runs"},
		{`<path class="waits" d="M%[1]f %[2]fH%[3]f"/>`, "waits"},
		{`<path class="ended" d="M%[1]f %[2]fH%[3]f"/>`, "not reaped yet"},
	} {
		sample := strings.NewReplacer("%[1]f", number(x), "%[2]f", number(s.y-4), "%[3]f", number(x+28)).Replace(entry.sample)
		s.rest = append(s.rest, sample, fmt.Sprintf(`<text class="legend" x="%.1f" y="%.1f">%s</text>`,
			x+sampleWidth, s.y, entry.text))
		x += sampleWidth + float64(len(entry.text))*perLetter + 16
	}
	s.y += 12
}

func number(x float64) string { return fmt.Sprintf("%.1f", x) }

func (s *sketch) print(format string, arguments ...interface{}) {
	s.rest = append(s.rest, fmt.Sprintf(format, arguments...))
}

func (s *sketch) line(format string, arguments ...interface{}) {
	s.lines = append(s.lines, fmt.Sprintf(format, arguments...))
}

// text draws one line of text, centred.
func (s *sketch) text(class string, x, y float64, text string) {
	var b strings.Builder
	for i, piece := range strings.Split(text, "`") {
		switch {
		case piece == "":
		case i%2 == 1:
			fmt.Fprintf(&b, `<tspan class="code">%s</tspan>`, escape(piece))
		default:
			b.WriteString(escape(piece))
		}
	}
	if class == "" {
		class = "label"
	}
	s.print(`<text class="%s" x="%.1f" y="%.1f">%s</text>`, class, x, y, b.String())
}

// fit is the width of the widest line, or an error if there is less room.
func (s *sketch) fit(lines []string, room float64) (float64, error) {
	widest := 0.0
	for _, line := range lines {
		size := textWidth(line)
		if size > room {
			return 0, fmt.Errorf("%q takes %.0f pixels, there is room for %.0f", line, size, room)
		}
		if size > widest {
			widest = size
		}
	}
	return widest, nil
}

// textWidth is about as wide as a text becomes in the widest of the fonts.
func textWidth(text string) float64 {
	width := 0.0
	for i, piece := range strings.Split(text, "`") {
		perLetter := 0.595
		if i%2 == 1 {
			perLetter = 0.605 * codeSize / fontSize
		}
		width += float64(utf8.RuneCountInString(piece)) * perLetter * fontSize
	}
	return width
}

func split(text string) []string {
	lines := strings.Split(text, "|")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return lines
}

// cut is strings.Cut, without the blanks.
func cut(text, separator string) (before, after string, found bool) {
	if i := strings.Index(text, separator); i >= 0 {
		return strings.TrimSpace(text[:i]), strings.TrimSpace(text[i+len(separator):]), true
	}
	return text, "", false
}

func escape(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}

const codeSize = 11.5

// A palette has the colours of the rules below, by their names there.
var (
	light = strings.NewReplacer("PAGE", "#ffffff", "INK", "#1f2328", "QUIET", "#59636e", "BOX", "#f3f5f8",
		"EDGE", "#c3cad2", "RUNS", "#9cc3ee", "CREATES", "#0550ae", "ENDS", "#b3431e")
	dark = strings.NewReplacer("PAGE", "#0d1117", "INK", "#e6edf3", "QUIET", "#9aa4af", "BOX", "#1b222b",
		"EDGE", "#444c56", "RUNS", "#2f5f94", "CREATES", "#79b8ff", "ENDS", "#ff9b72")
)

// colours are plain rules, without variables, which some programs that show pictures do not know. A picture has a
// ground of its own, since not every page follows the reader's settings.
const colours = `.page { fill: PAGE }
text { fill: INK }
.legend { fill: QUIET }
.head { fill: BOX; stroke: INK }
.note { fill: BOX; stroke: EDGE }
.runs { fill: RUNS }
.runsline { stroke: RUNS }
.waits { stroke: QUIET }
.ended, .cross, .ends { stroke: ENDS }
.creates { stroke: CREATES }
.bytes { stroke: INK }
.creates.tip { fill: CREATES; stroke: none }
.bytes.tip { fill: INK; stroke: none }
.ends.tip { fill: ENDS; stroke: none }
`

const shapes = `path { fill: none; stroke-width: 1.5 }
text { text-anchor: middle; font: 12px "Segoe UI", system-ui, -apple-system, "Helvetica Neue", "DejaVu Sans",` +
	` Arial, sans-serif }
.name { font-weight: 600 }
.legend { text-anchor: start }
.code { font: 11.5px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace }
.runsline { stroke-width: 8 }
.waits { stroke-dasharray: 5 4 }
.ended { stroke-width: 2; stroke-dasharray: 2 4 }
.ends { stroke-dasharray: 6 4 }
.creates, .cross { stroke-width: 2 }
`

// style is the same for all pictures.
var style = "<style>\n" + shapes + light.Replace(colours) +
	"@media (prefers-color-scheme: dark) {\n" + dark.Replace(colours) + "}\n</style>"
