// SPDX-License-Identifier: Apache-2.0

// A program without libraries, for the test of Cmd.FromCaller.
package main

import (
	"fmt"
	"os"
)

func main() { fmt.Printf("the caller's, %q\n", os.Args[1]) }
