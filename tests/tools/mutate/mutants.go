// SPDX-License-Identifier: Apache-2.0

package main

import (
	"sort"
	"strconv"
	"strings"
)

// A mutant is one change of one source.
type mutant struct {
	file        string // in cpp/
	kind        string
	start, end  int // what is replaced
	replacement string
	line        int
	// What the mutant is known by: its kind, and the line or lines as they are then, in one. There is no
	// number in it, so that edits elsewhere do not matter.
	key string
}

func (m *mutant) apply(source string) string {
	return source[:m.start] + m.replacement + source[m.end:]
}

// The kinds of changes.
const (
	negated      = "negated"         // a condition, or an arm of && or ||, is the opposite
	joined       = "joined"          // && for ||, or the other way round
	bound        = "bound"           // < for <=, or a bound one off
	constant     = "constant"        // a number one more
	callRemoved  = "call removed"    // a call whose value nobody uses, as those that clean up
	errorIgnored = "error ignored"   // what may fail is done, and its error is not looked at
	neverLeft    = "return skipped"  // if (...) return ...: does not
	maxKey       = 400               // of a key that spans many lines
	macroReturn  = "RETURN_IF_ERROR" // of error.h
	macroAssign  = "ASSIGN_OR_RETURN"
)

// A mutator makes mutants of one source.
type mutator struct {
	file, source string
	tokens       []token
	partner      map[int]int
	negatedSpans map[[2]int]bool
	mutants      []mutant
}

// Mutate makes all mutants of a source, in the order of where they are. It knows how clang-format sets
// C++: a < or > with spaces around it compares, one without is of a template, and && without a space before
// it is a reference.
func mutate(file, source string) []mutant {
	m := mutator{file: file, source: source, tokens: lex(source), negatedSpans: map[[2]int]bool{}}
	m.partner = partners(m.tokens)
	m.dropStaticAsserts()
	for i := range m.tokens {
		m.conditions(i)
	}
	for i := range m.tokens {
		m.operators(i)
		m.numbers(i)
		m.statements(i)
	}
	sort.SliceStable(m.mutants, func(i, j int) bool { return m.mutants[i].start < m.mutants[j].start })
	seen := map[string]bool{}
	unique := m.mutants[:0]
	for _, mutant := range m.mutants {
		changed := mutant.apply(source)
		if changed != source && !seen[changed] {
			seen[changed] = true
			unique = append(unique, mutant)
		}
	}
	return unique
}

func (m *mutator) dropStaticAsserts() {
	var kept []token
	for i := 0; i < len(m.tokens); i++ {
		if m.tokens[i].text == "static_assert" {
			i = m.partner[i+1]
			continue
		}
		kept = append(kept, m.tokens[i])
	}
	m.tokens = kept
	m.partner = partners(kept)
}

func (m *mutator) is(i int, texts ...string) bool {
	if i < 0 || i >= len(m.tokens) {
		return false
	}
	for _, t := range texts {
		if m.tokens[i].text == t && m.tokens[i].kind != text {
			return true
		}
	}
	return false
}

// Span is what tokens from and to (included) stand for.
func (m *mutator) span(from, to int) string {
	return m.source[m.tokens[from].start:m.tokens[to].end]
}

func (m *mutator) add(kind string, from, to int, replacement string) {
	start, end := m.tokens[from].start, m.tokens[to].end
	added := mutant{file: m.file, kind: kind, start: start, end: end, replacement: replacement,
		line: 1 + strings.Count(m.source[:start], "\n")}
	lineStart := strings.LastIndexByte(m.source[:start], '\n') + 1
	lineEnd := end + lengthUntil(m.source[end:], "\n")
	changed := m.source[lineStart:start] + replacement + m.source[end:lineEnd]
	if kind == callRemoved {
		changed = m.source[start:end]
		if line := strings.TrimSpace(m.source[lineStart:lineEnd]); line != changed+";" {
			changed += " in " + line
		}
	}
	added.key = kind + ": " + strings.Join(strings.Fields(changed), " ")
	if len(added.key) > maxKey {
		added.key = added.key[:maxKey]
	}
	m.mutants = append(m.mutants, added)
}

func (m *mutator) negate(from, to int) {
	if from > to || m.negatedSpans[[2]int{from, to}] {
		return
	}
	m.negatedSpans[[2]int{from, to}] = true
	m.add(negated, from, to, "!("+m.span(from, to)+")")
}

// Spaced tells whether an operator stands between spaces.
func (m *mutator) spaced(i int) bool {
	t := m.tokens[i]
	before, after := m.source[t.start-1], m.source[t.end]
	return (before == ' ' || before == '\n') && (after == ' ' || after == '\n')
}

// Back and forward find where the operand ends that begins beside token i, at a delimiter or where a
// bracket that is not its own is met.
func (m *mutator) back(i int, delimiters ...string) int {
	for i--; i >= 0; i-- {
		if m.is(i, ")", "]", "}") && !(m.is(i, "}") && !m.inExpression(i)) {
			i = m.partner[i]
			continue
		}
		if m.is(i, "(", "[", "{", "}", ";", ",", "return", "=", "?", ":") || m.is(i, delimiters...) {
			break
		}
	}
	return i + 1
}

// InExpression tells whether a closing brace ends an initializer and not a block.
func (m *mutator) inExpression(i int) bool {
	return !m.is(m.partner[i]-1, ")", ";", "{", "}", "else", "do", "const") &&
		m.is(i+1, ".", ")", ",", "==", "!=", "<", ">", ";")
}

func (m *mutator) forward(i int, delimiters ...string) int {
	for i++; i < len(m.tokens); i++ {
		if m.is(i, "(", "[", "{") {
			i = m.partner[i]
			continue
		}
		if m.is(i, ")", "]", "}", ";", ",", "?", ":") || m.is(i, delimiters...) {
			break
		}
	}
	return i - 1
}

// Conditions negates those of if, while, do, for and ?:.
func (m *mutator) conditions(i int) {
	switch {
	case m.is(i, "if", "while"):
		open := i + 1
		if m.is(open, "constexpr") {
			open++
		}
		if !m.is(open, "(") {
			return
		}
		parts := m.parts(open)
		last := parts[len(parts)-1]
		m.negate(last[0], last[1])
		closing := m.partner[open]
		body := closing + 1
		if m.is(body, "{") {
			body++
		}
		if m.is(i, "if") && m.is(body, "return", "continue", "break") && last[0] <= last[1] {
			m.add(neverLeft, last[0], last[1], "false && ("+m.span(last[0], last[1])+")")
		}
	case m.is(i, "for") && m.is(i+1, "("):
		if parts := m.parts(i + 1); len(parts) == 3 {
			m.negate(parts[1][0], parts[1][1])
		}
	case m.is(i, "?"):
		m.negate(m.back(i), i-1)
	}
}

// Parts splits what stands in parentheses at its semicolons.
func (m *mutator) parts(open int) [][2]int {
	var parts [][2]int
	from := open + 1
	for i := from; i < m.partner[open]; i++ {
		if m.is(i, "(", "[", "{") {
			i = m.partner[i]
		} else if m.is(i, ";") {
			parts = append(parts, [2]int{from, i - 1})
			from = i + 1
		}
	}
	return append(parts, [2]int{from, m.partner[open] - 1})
}

func (m *mutator) operators(i int) {
	t := m.tokens[i]
	if t.kind != punctuation || i == 0 || !m.spaced(i) {
		return
	}
	switch t.text {
	case "&&", "||":
		m.negate(m.back(i, "&&", "||"), i-1)
		m.negate(i+1, m.forward(i, "&&", "||"))
		m.add(joined, i, i, map[string]string{"&&": "||", "||": "&&"}[t.text])
	case "==", "!=":
		m.negate(m.back(i, "&&", "||"), m.forward(i, "&&", "||"))
	case "<", "<=", ">", ">=":
		m.negate(m.back(i, "&&", "||"), m.forward(i, "&&", "||"))
		m.add(bound, i, i, map[string]string{"<": "<=", "<=": "<", ">": ">=", ">=": ">"}[t.text])
		// What the other operator does not do: one off in the other direction.
		step := map[string]string{"<": " - 1", "<=": " + 1", ">": " + 1", ">=": " - 1"}[t.text]
		to := m.forward(i, "&&", "||")
		m.add(bound, i+1, to, m.span(i+1, to)+step)
	}
}

// Numbers adds one to those that are compared, calculated with, given a name, passed or returned.
func (m *mutator) numbers(i int) {
	t := m.tokens[i]
	if t.kind != number {
		return
	}
	const operators = " + - * / % << >> == != < <= > >= & "
	isOperator := func(i int) bool {
		return i >= 0 && i < len(m.tokens) && m.tokens[i].kind == punctuation &&
			strings.Contains(operators, " "+m.tokens[i].text+" ")
	}
	// One more than a whole bound is what the other operator is.
	if m.is(i-1, "<", "<=", ">", ">=") && !isOperator(i+1) {
		return
	}
	calculated := isOperator(i-1) && m.spaced(i-1) || isOperator(i+1) && m.spaced(i+1)
	named := m.is(i-1, "=") && m.is(i+1, ";") && m.declaresConstant(i-2)
	passed := m.is(i-1, "(", ",") && m.is(i+1, ")", ",")
	returned := m.is(i-1, "return")
	if !calculated && !named && !passed && !returned {
		return
	}
	digits, suffix := t.text, ""
	for len(digits) > 0 && strings.ContainsRune("uUlLzZ", rune(digits[len(digits)-1])) {
		digits, suffix = digits[:len(digits)-1], digits[len(digits)-1:]+suffix
	}
	value, err := strconv.ParseUint(strings.ReplaceAll(digits, "'", ""), 0, 64)
	if err != nil {
		return
	}
	m.add(constant, i, i, strconv.FormatUint(value+1, 10)+suffix)
}

// DeclaresConstant: token i is the name in a declaration of a constant.
func (m *mutator) declaresConstant(i int) bool {
	for j := i; j >= 0 && j > i-8; j-- {
		if m.is(j, ";", "{", "}") {
			return false
		}
		if m.is(j, "constexpr") {
			return true
		}
	}
	return false
}

// Statements removes calls whose value nobody uses, and the look at an error.
func (m *mutator) statements(i int) {
	// Where a statement can begin. "constexpr static bool x;" ends so too, but has no call.
	if i == 0 || !m.is(i-1, ";", "{", "}", ")", "else", "do") || m.is(i-1, ")") && !m.endsCondition(i-1) {
		return
	}
	if m.is(i, macroReturn) && m.is(i+1, "(") {
		closing := m.partner[i+1]
		m.add(errorIgnored, i, closing, "(void)("+m.span(i+2, closing-1)+")")
		return
	}
	if m.is(i, macroAssign) && m.is(i+1, "(") {
		closing := m.partner[i+1]
		comma := m.topLevelComma(i+1, closing)
		m.add(errorIgnored, i, closing,
			m.span(i+2, comma-1)+" = std::move(("+m.span(comma+1, closing-1)+").value())")
		return
	}
	// static_cast<void>(f(...)); or (void)a::b->c[d].e(...); or without (void).
	if m.is(i, "static_cast") && m.is(i+2, "void") && m.is(i+4, "(") && m.is(m.partner[i+4]-1, ")") {
		m.add(callRemoved, i, m.partner[i+4], "(void)0")
		return
	}
	j := i
	if m.is(i, "(") && m.is(i+1, "void") && m.is(i+2, ")") {
		j += 3
	}
	for {
		if m.tokens[j].kind != identifier || isKeyword(m.tokens[j].text) {
			return
		}
		j++
		for m.is(j, "[") {
			j = m.partner[j] + 1
		}
		if !m.is(j, "::", ".", "->") {
			break
		}
		j++
	}
	if !m.is(j, "(") || !m.is(m.partner[j]+1, ";") {
		return
	}
	m.add(callRemoved, i, m.partner[j], "(void)0")
}

func (m *mutator) topLevelComma(open, closing int) int {
	for i := open + 1; i < closing; i++ {
		if m.is(i, "(", "[", "{") {
			i = m.partner[i]
		} else if m.is(i, ",") {
			return i
		}
	}
	return closing
}

func (m *mutator) endsCondition(i int) bool {
	open := m.partner[i]
	return m.is(open-1, "if", "while", "for") || m.is(open-1, "constexpr") && m.is(open-2, "if")
}

func isKeyword(word string) bool {
	switch word {
	case "return", "if", "while", "for", "do", "switch", "case", "else", "const", "auto", "using", "template",
		"typename", "struct", "class", "enum", "namespace", "static", "explicit", "constexpr", "friend", "asm", "goto":
		return true
	}
	return false
}
