// SPDX-License-Identifier: Apache-2.0

// A program without libraries, for the tests of Cmd.FromCaller.
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	if os.Args[1] == "wait" {
		time.Sleep(500 * time.Millisecond)
		return
	}
	fmt.Printf("the caller's, %q\n", os.Args[1])
}
