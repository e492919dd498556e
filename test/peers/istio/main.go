// SPDX-License-Identifier: Apache-2.0

// Istio's own code on the other side of the certificate service: the client of
// its node agent (ask), and its CA behind the service as istiod answers (serve).
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{"ask": ask, "serve": serve}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: istio-peer ask|serve ARGUMENT...")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
