// SPDX-License-Identifier: Apache-2.0

// A program that is any of Kubernetes's own, by the name it is called: what
// tests of a real cluster run. Components stand in files of their own.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
)

var components = map[string]func() *cobra.Command{}

func main() {
	name := filepath.Base(os.Args[0])
	command, known := components[name]
	if !known {
		fmt.Fprintf(os.Stderr, "%s: not built into this program\n", name)
		os.Exit(2)
	}
	os.Exit(cli.Run(command()))
}
