// SPDX-License-Identifier: Apache-2.0

package main

import "strings"

type tokenKind int

const (
	identifier tokenKind = iota
	number
	punctuation
	text // a string or a character
)

// A token of C++, without those that nothing is made of here: comments and lines of the preprocessor.
type token struct {
	kind       tokenKind
	text       string
	start, end int
}

// What is longer comes first.
var operators = []string{
	"<<=", ">>=", "...", "->", "::", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "++", "--",
	"+=", "-=", "*=", "/=", "%=", "|=", "&=", "^=",
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// Lex takes a source apart. Raw strings are not known: the core has none.
func lex(source string) []token {
	var tokens []token
	lineBegins := true
	for i := 0; i < len(source); {
		rest := source[i:]
		c := source[i]
		end := i + 1
		switch {
		case c == '\n':
			lineBegins = true
			i++
			continue
		case c == ' ' || c == '\t':
			i++
			continue
		case c == '#' && lineBegins:
			i += preprocessorLine(rest)
			continue
		case strings.HasPrefix(rest, "//"):
			i += lengthUntil(rest, "\n")
			continue
		case strings.HasPrefix(rest, "/*"):
			i += lengthUntil(rest, "*/") + 2
			continue
		case c == '"' || c == '\'':
			for end < len(source) && source[end] != c {
				if source[end] == '\\' {
					end++
				}
				end++
			}
			end++
			tokens = append(tokens, token{text, source[i:end], i, end})
		case isDigit(c):
			for end < len(source) && (isWord(source[end]) || source[end] == '\'' || source[end] == '.') {
				end++
			}
			tokens = append(tokens, token{number, source[i:end], i, end})
		case isWord(c):
			for end < len(source) && isWord(source[end]) {
				end++
			}
			tokens = append(tokens, token{identifier, source[i:end], i, end})
		default:
			for _, operator := range operators {
				if strings.HasPrefix(rest, operator) {
					end = i + len(operator)
					break
				}
			}
			tokens = append(tokens, token{punctuation, source[i:end], i, end})
		}
		lineBegins = false
		i = end
	}
	return tokens
}

func lengthUntil(text, what string) int {
	if i := strings.Index(text, what); i >= 0 {
		return i
	}
	return len(text)
}

// PreprocessorLine is the length of a line with those that continue it.
func preprocessorLine(rest string) int {
	for i := 0; i < len(rest); i++ {
		if rest[i] == '\n' && (i == 0 || rest[i-1] != '\\') {
			return i
		}
	}
	return len(rest)
}

// Partners tells for each bracket where the other one is. Angles are no brackets here.
func partners(tokens []token) map[int]int {
	found := map[int]int{}
	var open []int
	for i, t := range tokens {
		if t.kind != punctuation {
			continue
		}
		switch t.text {
		case "(", "[", "{":
			open = append(open, i)
		case ")", "]", "}":
			if len(open) == 0 {
				continue
			}
			other := open[len(open)-1]
			open = open[:len(open)-1]
			found[i], found[other] = other, i
		}
	}
	return found
}
