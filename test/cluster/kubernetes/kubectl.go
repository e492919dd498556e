// SPDX-License-Identifier: Apache-2.0

package main

import "k8s.io/kubectl/pkg/cmd"

func init() {
	components["kubectl"] = cmd.NewDefaultKubectlCommand
}
