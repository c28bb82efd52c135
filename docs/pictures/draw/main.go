// SPDX-License-Identifier: Apache-2.0

// The draw command draws the sequence pictures of docs/architecture.md: NAME.svg from NAME.txt, for each such file in
// docs/pictures. It fails when a text has no room, or a process does something before it begins or after its end.
//
//	go run ./docs/pictures/draw
//
// A line of a text file is empty, a comment that begins with #, or one of
//
//	title: TEXT           what the picture shows
//	lanes: NAME, NAME     the processes, from the left; the first exists from the beginning
//	A => B: TEXT          A creates B
//	A -> B: TEXT          A sends bytes to B
//	A ~> B: TEXT          A has ended, and B sees it
//	note A: TEXT          what A does
//	waits A, runs A       what A does from here on
//
// In a TEXT, | begins a new line, and what stands in backticks is code.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := drawAll("docs/pictures"); err != nil {
		fmt.Fprintln(os.Stderr, "draw:", err)
		os.Exit(1)
	}
}

// drawAll draws each text file of a folder.
func drawAll(folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no text files in %s (%v)", folder, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		picture, err := draw(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := os.WriteFile(pictureOf(file), []byte(picture), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// pictureOf is the file that a text file's picture is written to.
func pictureOf(file string) string { return strings.TrimSuffix(file, ".txt") + ".svg" }
