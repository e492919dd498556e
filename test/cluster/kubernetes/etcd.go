// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
)

// Debian 12's etcd is too old for streams that begin with everything.
func init() {
	components["etcd"] = func() *cobra.Command {
		return &cobra.Command{
			Use:                "etcd",
			DisableFlagParsing: true,
			Run: func(*cobra.Command, []string) {
				etcdmain.Main(os.Args)
			},
		}
	}
}
